"""Watching the store: every change to everybody who asked for it, in order, one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

EventType = Literal["ADDED", "MODIFIED", "DELETED"]


class Event(msgspec.Struct, frozen=True):
    """One change of one object; `old` is what was there before (None when ADDED)."""

    type: EventType
    object: dict[str, Any]
    old: dict[str, Any] | None = None

    @property
    def version(self) -> int:
        """The version of the store that this change made."""
        return int(self.object["metadata"]["resourceVersion"])


class Watch:
    """A watcher's place; `stop` ends it, also for events that are on their way. `kinds` None means all."""

    def __init__(self, kinds: frozenset[str] | None, callback: Callable[[Event], None]) -> None:
        self.kinds = kinds
        self.callback = callback
        self.active = True

    def stop(self) -> None:
        self.active = False


class Watches:
    """All watchers of a store, and the events that they have not seen yet."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._by_kind: dict[str, list[Watch]] = {}
        self._waiting: deque[tuple[Watch, Event]] = deque()
        self._busy = False

    def add(self, watch: Watch, initial: Iterable[Event]) -> None:
        self._waiting.extend((watch, event) for event in initial)
        self._watches.append(watch)
        self._by_kind.clear()

    def announce(self, kind: str, event: Event) -> None:
        """Queue the event for everybody who watches `kind`, which is what the store keeps the object under."""
        if (told := self._by_kind.get(kind)) is None:
            self._watches = [watch for watch in self._watches if watch.active]
            told = [watch for watch in self._watches if watch.kinds is None or kind in watch.kinds]
            self._by_kind[kind] = told
        self._waiting.extend([(watch, event) for watch in told])

    def dispatch(self) -> None:
        """Call back for what waits. A call from within a callback returns at once: the outer one goes on with it.

        A callback must not raise; where one does, the caller gets its error, and what is behind it waits for the next
        dispatch.
        """
        if self._busy:
            return
        self._busy = True
        waiting = self._waiting
        try:
            while waiting:
                watch, event = waiting.popleft()
                if watch.active:
                    watch.callback(event)
                else:
                    self._by_kind.clear()  # which forgets it
        finally:
            self._busy = False
