"""watch: the changes of a resource, from what there is or from a version on, as long as the client wants.

    history of the store ── since the cursor ── what the selectors make of it ── one line each ── client

A watch is a cursor into the store's history, and holds nothing else: a client that does not read makes it stand still,
and when the history has gone on without it, it ends with 410.
Source: apiserver/pkg/endpoints/handlers/watch.go; apiserver/pkg/storage/cacher/cache_watcher.go; KEP-3157.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec

from labkit.apiserver import options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Sink, Stream
from labkit.apiserver.options import ListOptions
from labkit.apiserver.selection import Selects
from labkit.apiserver.verbs import reading
from labkit.control.watch import Event
from labkit.errors import ApiError

Raw = dict[str, Any]

BOOKMARKS = 60.0  # seconds between two
LONGEST, SPREAD = 1800.0, 1800.0  # seconds of a watch that does not say how long: half an hour to an hour


def watch(call: Call) -> Stream:
    """Raises `ApiError` where it cannot begin; what happens later is told in the stream."""
    wanted = options.listing(call.request, watching=True)
    name = call.route.name
    if name and not wanted.fields:
        wanted = msgspec.structs.replace(wanted, fields=f"metadata.name={name}")
    reading.check_version(call, wanted)
    return Stream(Watching(call, wanted).run)


class Watching:
    """One client's watch."""

    def __init__(self, call: Call, wanted: ListOptions) -> None:
        self._store = call.store
        self._key = call.resource.key
        self._namespace = call.route.namespace if call.resource.namespaced else ""
        self._renderer = call.renderer
        self._wanted = wanted
        self._selects: Selects = reading.selecting(call, wanted)
        self._feed = call.plane.feed
        self._cursor = int(call.store.version)
        self._present: tuple[Raw, ...] = ()
        if wanted.initial if wanted.initial is not None else wanted.version <= 0:
            self._present = call.store.list(self._key, self._namespace or None)
        elif wanted.version > 0:
            self._cursor = wanted.version
            self._store.history.since(self._key, self._cursor)  # that it is still there

    async def run(self, sink: Sink) -> None:
        seconds = self._wanted.timeout or LONGEST + random.random() * SPREAD
        try:
            async with asyncio.timeout(seconds):
                await self._begin(sink)
                await self._follow(sink)
        except TimeoutError:
            self._bookmark(sink)
        except ApiError as error:  # too slow: what it has not seen is forgotten
            sink.write(msgspec.json.encode({"type": "ERROR", "object": error.details["status"]}) + b"\n")

    async def _begin(self, sink: Sink) -> None:
        for raw in self._present:
            if self._selects(raw):
                sink.write(self._renderer.event("ADDED", raw))
                if sink.full:
                    await sink.drain()
        self._present = ()
        if self._wanted.initial:
            sink.write(self._renderer.bookmark(self._cursor, end_of_initial=True))

    async def _follow(self, sink: Sink) -> None:
        with self._feed.listening(self._key) as changed:
            while True:
                changed.clear()
                for event in self._store.history.since(self._key, self._cursor):
                    self._cursor = event.version
                    if told := self._told(event):
                        sink.write(self._renderer.event(*told))
                    if sink.full:
                        await sink.drain()
                        changed.set()
                        break  # the history may have gone on meanwhile
                try:
                    async with asyncio.timeout(BOOKMARKS):
                        await changed.wait()
                except TimeoutError:
                    self._cursor = int(self._store.version)
                    self._bookmark(sink)

    def _bookmark(self, sink: Sink) -> None:
        if self._wanted.bookmarks:
            sink.write(self._renderer.bookmark(self._cursor, end_of_initial=False))

    def _told(self, event: Event) -> tuple[str, Raw] | None:
        """What a change is for somebody who sees only what the selectors let through."""
        if self._namespace and event.object["metadata"].get("namespace", "") != self._namespace:
            return None
        return told(event, self._selects)


def told(event: Event, selects: Selects) -> tuple[str, Raw] | None:
    """The event as it looks through a selector: what comes into its view is ADDED, what leaves it DELETED."""
    before = event.old is not None and selects(event.old)
    after = event.type != "DELETED" and selects(event.object)
    if after:
        return ("MODIFIED" if before else "ADDED"), event.object
    if not before:
        return None
    if event.type == "DELETED" or event.old is None:
        return "DELETED", event.object
    version = event.object["metadata"]["resourceVersion"]
    return "DELETED", {**event.old, "metadata": {**event.old["metadata"], "resourceVersion": version}}
