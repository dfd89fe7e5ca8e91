"""Every object of a resource, then each of its changes, whatever happens to connections meanwhile.

    list ──> all of them; those that have gone ──> watch from there ──> changes
     ↑                                               │ its end, a lost connection: watch again from the last change
     └────────────────── too old (410) ──────────────┘

Source: client-go/tools/cache/reflector.go (ListAndWatch; back-off from 0.8 to 30 s).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from labkit.proxy.client.api import Api, Raw, Refused

Changed = Callable[[str, Raw], None]
"""Told of each: ADDED, MODIFIED or DELETED, and the object."""
FIRST, LONGEST = 0.8, 30.0
LOST = (OSError, ValueError, EOFError, KeyError, TypeError, msgspec.MsgspecError)
"""A connection that was lost, and answers that make no sense."""


class Reflector:
    """Follows what `path` lists, among it what the selectors take. `synced` is set once all have been told."""

    def __init__(self, api: Api, path: str, changed: Changed, say: Callable[..., None], **selectors: str) -> None:
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._selectors = selectors
        self._changed = changed
        self._say = say
        self._known: dict[tuple[str, str], Raw] = {}
        self._version = ""

    async def run(self) -> None:
        """Never ends by itself."""
        wait = FIRST
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                wait = FIRST
            except Refused as refused:
                self._complain(refused)
                if refused.details["code"] == 410:
                    self._version = ""
                    continue
            except LOST as error:
                self._complain(error)
            else:
                continue
            await asyncio.sleep(wait * random.uniform(1, 2))
            wait = min(LONGEST, wait * 2)

    async def _list(self) -> None:
        version, found, more = "", dict[tuple[str, str], Raw](), ""
        while True:
            page = {"limit": "500", "continue": more} if more else {"limit": "500", "resourceVersion": "0"}
            answer = await self._api.get(self._target(**page))
            found.update((_key(raw), raw) for raw in answer.get("items") or ())
            version, more = answer["metadata"]["resourceVersion"], answer["metadata"].get("continue", "")
            if not more:
                break
        for key in self._known.keys() - found.keys():
            self._changed("DELETED", self._known[key])
        for key, raw in found.items():
            if self._known.get(key) != raw:
                self._changed("MODIFIED" if key in self._known else "ADDED", raw)
        self._known, self._version = found, version
        self.synced.set()

    async def _watch(self) -> None:
        seconds = str(random.randint(300, 600))
        options = {"allowWatchBookmarks": "true", "resourceVersion": self._version, "timeoutSeconds": seconds}
        async for event in self._api.watch(self._target(watch="true", **options)):
            raw = event["object"]
            if event["type"] == "ERROR":
                raise Refused(raw.get("message", "the watch failed"), code=raw.get("code", 500))
            self._version = raw["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            if event["type"] == "DELETED":
                self._known.pop(_key(raw), None)
            else:
                self._known[_key(raw)] = raw
            self._changed(event["type"], raw)

    def _target(self, **options: str) -> str:
        return f"{self._path}?{urlencode({**self._selectors, **options})}"

    def _complain(self, error: Exception) -> None:
        facts: dict[str, Any] = {"reflector": self._path, "err": str(error)}
        self._say("E", "reflector.go:205", "Failed to watch", facts)


def _key(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
