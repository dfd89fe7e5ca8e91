"""The notebook's end of the channel: blocking calls from any thread.

The channel itself runs in one background thread, so a KeyboardInterrupt in a cell can only end the waiting: it never
cuts a message in half. The work inside the lab is then cancelled, the lab goes on.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from labkit.errors import SandboxError
from labkit.sandbox.channel import Handler, Peer
from labkit.sandbox.tunnel import Tunnels

T = TypeVar("T")
Ask = Callable[..., Coroutine[Any, Any, Any]]
"""`Peer.call`."""

PATIENCE = 30.0  # seconds without any sign of life after which the lab is taken for dead


class Client:
    """A `Peer` in a thread of its own; `handlers` get the events that the lab sends, `window` is the peer's."""

    def __init__(self, sock: socket.socket, handlers: Mapping[str, Handler] | None = None, window: int = 0) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="labkit channel", daemon=True)
        self._thread.start()
        self._tunnels = Tunnels()
        self._following: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Handler] = dict(handlers or {})
        self._peer = self._await(Peer.over(sock, self._handlers, early=True, window=window))

    def forward(self, listener: socket.socket) -> None:
        """Let the lab serve what connects to a listening socket."""
        self._tunnels.peer = self._peer
        self._handlers.update(self._tunnels.handlers())
        self._loop.call_soon_threadsafe(self._tunnels.listen, listener)

    def call(self, method: str, /, *, within: float | None = None, **params: Any) -> Any:
        """Ask the lab and wait. Raises what the lab raised, `TimeoutError` after `within` seconds.

        However long the work takes, the lab shows that it lives; `SandboxError` where it does not.
        """
        if self._loop.is_closed():
            raise SandboxError("the lab is closed")
        return self._await(self._peer.call(method, **params), within)

    def follow(self, work: Callable[[Ask], Coroutine[Any, Any, None]]) -> concurrent.futures.Future[None]:
        """Run `work` in the channel's own thread, where it asks the lab with `await`. It is cancelled by `close`.

        It must not raise, and it must not take long between two waits: nothing else is heard meanwhile.
        """
        if self._loop.is_closed():
            raise SandboxError("the lab is closed")
        return asyncio.run_coroutine_threadsafe(self._followed(work), self._loop)

    async def _followed(self, work: Callable[[Ask], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        self._following.add(task)
        try:
            await work(self._peer.call)
        finally:
            self._following.discard(task)

    async def _end_following(self) -> None:
        tasks = list(self._following)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Say good-bye: the other end sees the end of the stream."""
        if self._loop.is_closed():
            return
        self._await(self._end_following())
        self._await(self._tunnels.close())
        self._loop.call_soon_threadsafe(self._peer.close)
        self._await(self._peer.closed())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, T], within: float | None = None) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        end = None if within is None else time.monotonic() + within
        try:
            while True:
                left = PATIENCE if end is None else min(PATIENCE, end - time.monotonic())
                try:
                    return future.result(left)
                except concurrent.futures.TimeoutError:
                    if future.done() or (end is not None and time.monotonic() >= end):
                        raise
                self._sign_of_life()
        except BaseException:
            future.cancel()
            raise

    def _sign_of_life(self) -> None:
        """Raises `SandboxError` where the lab has not said anything since it was last asked for a sign."""
        if time.monotonic() - self._peer.heard > 2 * PATIENCE:
            raise SandboxError(
                f"the lab has given no sign of life for {2 * PATIENCE:g} s: it hangs, or is stopped. "
                "End it with k.close(), and start a new one with lab.start()"
            )
        self._loop.call_soon_threadsafe(self._peer.ping)
