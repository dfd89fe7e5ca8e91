"""Hints that come one at a time: each wrong answer earns the next one."""

from __future__ import annotations

from collections.abc import Sequence


class Hints:
    """How many hints of each exercise the learner has seen, for as long as the notebook's kernel lives."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def next(self, exercise: str, hints: Sequence[str]) -> str:
        """The next hint; after the last one, where to look instead."""
        seen = self._seen.get(exercise, 0)
        self._seen[exercise] = seen + 1
        if seen < len(hints):
            return f"Hint {seen + 1} of {len(hints)}: {hints[seen]}"
        return "That was the last hint; the cell tagged `solution` shows one way."

    def forget(self, exercise: str) -> None:
        """Begin again with the first hint."""
        self._seen.pop(exercise, None)
