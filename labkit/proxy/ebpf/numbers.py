"""Numbers for things, each in use once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from labkit.errors import RuleError

T = TypeVar("T", bound=Hashable)


class Numbers(Generic[T]):
    """Gives 1 to `last`, in turn, so that a number that was free'd rests for long: old connections may name it."""

    def __init__(self, last: int) -> None:
        self.given: dict[T, int] = {}
        self._last = last
        self._used: set[int] = set()
        self._next = 1

    def of(self, thing: T) -> int:
        """The thing's number; its first one where it has none. Raises `RuleError` where all are in use."""
        if (number := self.given.get(thing)) is not None:
            return number
        if len(self._used) == self._last:
            raise RuleError(f"all {self._last} numbers are in use: there are too many Service addresses for the maps")
        while self._next in self._used:
            self._next = self._next % self._last + 1
        number = self.given[thing] = self._next
        self._used.add(number)
        self._next = number % self._last + 1
        return number

    def free(self, thing: T) -> None:
        """The thing has gone; one without a number is passed over."""
        if (number := self.given.pop(thing, None)) is not None:
            self._used.discard(number)
