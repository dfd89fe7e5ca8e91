"""Whether somebody else was at a node's rules. One for all address families: they share the kernel's count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from labkit.linux.rule_marks import Mark, RuleMarks


class Guard:
    """Knows the rules as this node's proxy left them. `turn` is held by whoever changes them.

    What somebody else changes while the proxy itself writes looks as if the proxy had: the hourly full sync finds it.

    disturbed: called for each address family when somebody else has changed something
    """

    def __init__(self, marks: RuleMarks) -> None:
        self.turn = asyncio.Lock()
        self.disturbed: list[Callable[[], None]] = []
        self._marks = marks
        self._left: Mark | None = None  # None: as nobody knows

    def look(self) -> None:
        """Compare; not while somebody has the turn."""
        now = self._marks.read()
        if self._left is not None and now != self._left:
            for tell in self.disturbed:
                tell()
        self._left = now

    def leave(self) -> None:
        """The rules are as they should be."""
        self._left = self._marks.read()

    def close(self) -> None:
        self._marks.close()
