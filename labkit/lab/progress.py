"""What a start is doing, and then what it has led to, in a line of the notebook. Elsewhere: nothing."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

TEXT = "starting a lab"


class Progress:
    """Called with each step in words, from any thread; `done` with the outcome. An error takes the line away.

    The line is a widget, with a fixed text for pages without widgets: so the output is the same in every run.
    """

    def __init__(self) -> None:
        self._line: Any = None

    def __enter__(self) -> Progress:
        if _in_notebook():
            from IPython.display import display
            from ipywidgets import HTML

            self._line = HTML(f"<i>{TEXT} …</i>")
            display({**self._line._repr_mimebundle_(), "text/plain": TEXT}, raw=True)  # type: ignore[no-untyped-call]
        return self

    def __call__(self, step: str) -> None:
        if self._line is not None:
            self._line.value = f"<i>{TEXT}: {step} …</i>"

    def done(self, outcome: str) -> None:
        if self._line is not None:
            self._line.value = f"<i>{outcome}</i>"

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None and self._line is not None:
            self._line.value = ""


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel. IPython is not imported to find out: a kernel has done that."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
