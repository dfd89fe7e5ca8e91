"""A claim: this cell has just shown this point of the curriculum."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from labkit.learn.curriculum import point

MARK = "✓"


def claim(point_id: str, condition: object, shows: str = "") -> None:
    """Assert that what was observed shows a point of the curriculum, and print one line that says so.

    condition  True or False, from an observation; or a mapping from facts in words to True or False, all to be true
    shows      what was observed, in a few words; without clocks or counts that vary
    Raises `AssertionError` with the point's title where it is not so, `NotFound` for an unknown point, and `TypeError`
    for a condition that is neither (a list or a text is true by being there, and would claim nothing).
    """
    title = point(point_id).title
    failed = [fact for fact, holds in _facts(condition).items() if not holds]
    if failed:
        what = "; ".join(filter(None, [*failed, shows]))
        raise AssertionError(f"{title}: not so here{': ' if what else ''}{what} ({point_id})")
    sys.stdout.write(f"{mark(point_id)} {title}{': ' if shows else ''}{shows}\n")


def mark(point_id: str) -> str:
    """How the printed line begins: what `coverage` looks for in the outputs of a committed notebook."""
    return f"{MARK} {point_id} |"


def _facts(condition: object) -> dict[str, bool]:
    if isinstance(condition, Mapping):
        if not condition:
            raise TypeError("a claim needs at least one fact; this mapping is empty")
        return {str(fact): _truth(value) for fact, value in condition.items()}
    return {"": _truth(condition)}


def _truth(value: Any) -> bool:
    import numpy as np

    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"a claim needs True or False, not {type(value).__name__}; compare it with what you expect")
