"""Byte streams over the channel: connections that are accepted at one end of it, and served at the other.

    client ── socket ── Tunnels ══ open, data, taken, end, reset ══ Tunnels ── socket ── server

A sandbox with a kernel of its own cannot inherit a listening socket. Each direction of each stream has at most `WINDOW`
bytes under way, so one that is not read holds up nobody else, and takes no more memory than that.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from labkit.sandbox.channel import Handler, Peer

WINDOW = 256 * 1024
PIECE = 32 * 1024
Serve = Callable[[socket.socket], Coroutine[Any, Any, None]]


class _Stream:
    """One end of one stream: what has come for it, and how much it may send."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()  # bounded by the other end's window
        self.allowed = WINDOW
        self.more = asyncio.Event()
        self.directions: list[asyncio.Task[None]] = []


class Tunnels:
    """All streams of one end. `peer` is set once there is one; `serve` gets what the other end has accepted."""

    def __init__(self, serve: Serve | None = None) -> None:
        self.peer: Peer | None = None
        self._serve = serve
        self._streams: dict[int, _Stream] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._next = 0

    def handlers(self) -> dict[str, Handler]:
        """The events with which the two ends speak."""
        return {
            "tunnel_open": self._open,
            "tunnel_data": self._data,
            "tunnel_taken": self._taken,
            "tunnel_end": self._end,
            "tunnel_reset": self._reset,
        }

    def listen(self, listener: socket.socket) -> None:
        """Accept on a socket, and let the other end serve it."""
        listener.setblocking(False)
        self._start(self._accept(listener))

    async def close(self) -> None:
        """End all streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                sock, _ = await asyncio.get_running_loop().sock_accept(listener)
                self._next += 1
                self._streams[self._next] = _Stream()
                self._tell("open", self._next)
                self._start(self._run(self._next, sock))

    def _open(self, number: int) -> None:
        """The other end has accepted a connection."""
        if self._serve is not None:
            self._streams[number] = _Stream()
            mine, theirs = socket.socketpair()
            mine.setblocking(False)
            self._start(self._serve(theirs))
            self._start(self._run(number, mine))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, number: int, sock: socket.socket) -> None:
        """Both directions, until both have ended, or one end has gone: the other one hears of that at once."""
        stream = self._streams[number]
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            async with asyncio.TaskGroup() as group:
                stream.directions += (
                    group.create_task(self._send(number, stream, reader)),
                    group.create_task(self._deliver(number, stream, writer)),
                )
        except* OSError:
            self._tell("reset", number)
        finally:
            if any(direction.cancelled() for direction in stream.directions):
                writer.transport.abort()  # to close would be to wait until all has been read
            writer.close()
            del self._streams[number]

    async def _send(self, number: int, stream: _Stream, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(min(PIECE, stream.allowed)):
            stream.allowed -= len(data)
            self._tell("data", number, data=data)
            while stream.allowed <= 0:
                stream.more.clear()
                await stream.more.wait()
        self._tell("end", number)

    async def _deliver(self, number: int, stream: _Stream, writer: asyncio.StreamWriter) -> None:
        while data := await stream.incoming.get():
            writer.write(data)
            await writer.drain()
            self._tell("taken", number, count=len(data))
        writer.write_eof()

    def _data(self, number: int, data: bytes) -> None:
        if stream := self._streams.get(number):
            stream.incoming.put_nowait(data)
        else:  # nobody is left to read it, so let the other end find its own end
            self._tell("taken", number, count=len(data))

    def _taken(self, number: int, count: int) -> None:
        if stream := self._streams.get(number):
            stream.allowed += count
            stream.more.set()

    def _end(self, number: int) -> None:
        if stream := self._streams.get(number):
            stream.incoming.put_nowait(b"")

    def _reset(self, number: int) -> None:
        """The other end has gone, and takes nothing more of what is under way."""
        if stream := self._streams.get(number):
            for direction in stream.directions:
                direction.cancel()

    def _tell(self, event: str, number: int, **more: Any) -> None:
        if self.peer:
            self.peer.notify(f"tunnel_{event}", number=number, **more)
