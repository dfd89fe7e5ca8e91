"""Wakes the watches of a kind when one of its objects has changed. What changed, they read from the store's history."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.control.store import Store, key_of
from labkit.control.watch import Event


class Feed:
    """One watch of the store for all clients that watch."""

    def __init__(self, store: Store) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        store.watch(None, self._heard, initial=False)

    @contextmanager
    def listening(self, key: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change of a kind; whoever waits for it clears it before they look."""
        changed = asyncio.Event()
        self._waiting[key].add(changed)
        try:
            yield changed
        finally:
            self._waiting[key].discard(changed)

    def _heard(self, event: Event) -> None:
        for changed in self._waiting.get(key_of(event.object)[0], ()):
            changed.set()
