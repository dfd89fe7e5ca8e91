"""Data frames that show themselves as kubectl prints a table. It imports pandas: it is imported when one is made."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from labkit.lab import tables


class Frame(pd.DataFrame):
    """A DataFrame without an index in sight, its text to the left. What is computed from it is a plain DataFrame."""

    def __repr__(self) -> str:
        return tables.text(*self._shown())

    def _repr_html_(self) -> str:
        return tables.html(*self._shown())

    def _shown(self) -> tuple[list[str], list[Sequence[object]]]:
        return list(map(str, self.columns)), list(self.itertuples(index=False, name=None))
