"""A live view of a kind: it follows what the API's watches tell, and is a widget where there is a notebook.

    store's history ── `changes`, one question at a time ── Watched ── at most four times a second ── widget

It needs no thread of its own: it is a task in the channel's. Between changes it waits, and nothing is sent.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from labkit.errors import LabError
from labkit.lab.tables import Layout
from labkit.lab.watched import Watched, titled
from labkit.sandbox.client import Ask
from labkit.sandbox.start import Sandbox

PAUSE = 0.25  # seconds between two pictures of what changes all the time
CLOSED = "the lab is closed"


class Watch:
    """The objects of a kind as they are now. `str` and `repr` are the table as text; `close` lets it rest.

    namespace  None: of all namespaces
    """

    def __init__(self, sandbox: Sandbox, layout: Layout, namespace: str | None) -> None:
        self._layout = layout
        self._asked: dict[str, Any] = {"kind": layout.resource.key, "namespace": namespace}
        self._ended = ""
        empty = Watched(titled(layout, namespace), tuple(layout.header))
        first = sandbox.call("changes", **self._asked, version=0)
        self._seen = empty.after(first, layout, time.monotonic())
        self._widget: Any = None
        self._task = sandbox.follow(self._follow)

    @property
    def live(self) -> bool:
        """Whether it still follows the lab."""
        return not self._ended

    def close(self) -> None:
        """Follow the lab no longer; the last that was seen stays. May be called twice."""
        self._end("no longer followed")
        self._task.cancel()

    def __repr__(self) -> str:
        return self._seen.text(self._ended)

    def _ipython_display_(self) -> None:
        """The widget; the plain text beside it serves pages without widgets, and is what nbval compares."""
        from IPython.display import display
        from ipywidgets import HTML

        if self._widget is None:
            self._widget = HTML()
        self._paint()
        display({**self._widget._repr_mimebundle_(), "text/plain": repr(self)}, raw=True)  # type: ignore[no-untyped-call]

    async def _follow(self, ask: Ask) -> None:
        asking: asyncio.Task[Any] | None = None
        why = CLOSED
        try:
            while self.live:
                asking = asking or asyncio.create_task(ask("changes", **self._asked, version=self._seen.version))
                fades = self._seen.fades()
                await asyncio.wait({asking}, timeout=None if fades is None else max(0.0, fades - time.monotonic()))
                now = time.monotonic()
                if asking.done():
                    told, asking = asking.result(), None
                    self._seen = self._seen.after(told, self._layout, now)
                self._seen = self._seen.faded(now)
                self._paint()
                await asyncio.sleep(PAUSE)
        except LabError as error:
            why = error.message
        finally:
            if asking:
                asking.cancel()
            self._end(why)

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._paint()

    def _paint(self) -> None:
        if self._widget is not None:
            self._widget.value = self._seen.html(self._ended)
