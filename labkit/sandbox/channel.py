"""Two peers on one byte stream: requests, results, errors, events; either side may ask.

    length (4 bytes, big endian) | msgpack [kind, id, name, body]

It needs nothing but an ordered stream, so a socket pair and a serial line serve alike. The notebook's side runs it
in a thread of its own (`labkit.sandbox.client`), every process inside the sandbox in its asyncio loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from io import FileIO
from typing import Any, cast

import msgspec

from labkit.errors import LabError, SandboxError, from_wire, to_wire

Handler = Callable[..., Any]
Stream = socket.socket | FileIO
"""A connected stream socket, or a serial line in raw mode."""

REQUEST, RESULT, ERROR, EVENT, CANCEL, PING, PONG, READ = range(8)
OPEN = "open"  # the event that a launcher sends first
SERIAL_WINDOW = 2048
"""User-Mode Linux (6.1) never hears of a serial line again once a reader has let its 4,096 bytes of buffer fill up:
arch/um/drivers/line.c stops the line's interrupt when it is throttled, and does not start it again."""
LARGEST = 256 * 1024 * 1024

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def frame(kind: int, number: int, name: str, body: Any) -> bytes:
    """One message as it goes over the stream."""
    payload = _encode((kind, number, name, body))
    return len(payload).to_bytes(4, "big") + payload


class Peer(asyncio.Protocol):
    """One end of the channel.

    handlers: name -> function called with the request's parameters as keywords; it may be a coroutine function. An
    exception becomes the caller's. `call` raises `SandboxError` when the other end goes away.
    heard     when the other end last said anything (`time.monotonic`); `ping` makes it say something
    early     whether this end may be: it then writes nothing before the other one says "open"
    window    bytes that the other end may have before it; more are held back until it says that it has read some.
              A guest's serial line needs this: see `SERIAL_WINDOW`
    """

    def __init__(self, handlers: Mapping[str, Handler], early: bool = False, window: int = 0) -> None:
        self._handlers = handlers
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._next = 0
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early = early
        self._window = window
        self._unread = 0  # bytes that the other end has before it
        self._held = bytearray()
        self._reader: asyncio.ReadTransport | None = None  # of a serial line, whose two directions are two transports
        self.heard = time.monotonic()

    @classmethod
    async def over(cls, stream: Stream, handlers: Mapping[str, Handler], early: bool = False, window: int = 0) -> Peer:
        """A peer that speaks over `stream`."""
        loop = asyncio.get_running_loop()
        peer = cls(handlers, early, window)
        if isinstance(stream, socket.socket):
            stream.setblocking(False)
            await loop.create_connection(lambda: peer, sock=stream)
        else:
            out = FileIO(os.dup(stream.fileno()), "w")  # first, for an answer may be due as soon as there is a reader
            peer._transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, out)
            await loop.connect_read_pipe(lambda: peer, stream)
        return peer

    async def call(self, method: str, /, **params: Any) -> Any:
        """Ask the other end and wait for its answer. Cancelling the wait cancels the work over there."""
        if self._closed.done():
            raise SandboxError("the lab has ended")
        self._next += 1
        number = self._next
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = future
        self._write(frame(REQUEST, number, method, params))
        try:
            return await future
        except asyncio.CancelledError:
            self._write(frame(CANCEL, number, "", None))
            raise
        finally:
            self._calls.pop(number, None)

    def notify(self, event: str, /, **params: Any) -> None:
        """Tell the other end; no answer, and nothing happens when it has gone."""
        self._write(frame(EVENT, 0, event, params))

    def ping(self) -> None:
        """Ask for a sign of life: see `heard`."""
        self._write(frame(PING, 0, "", None))

    async def closed(self) -> None:
        """Wait until the other end has gone."""
        await asyncio.shield(self._closed)

    def close(self) -> None:
        for transport in (self._transport, self._reader):
            if transport:
                transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._transport is None:
            self._transport = cast(asyncio.WriteTransport, transport)
        else:
            self._reader = cast(asyncio.ReadTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close()
        for future in self._calls.values():
            if not future.done():
                future.set_exception(SandboxError("the lab has ended"))
        for task in self._tasks.values():
            task.cancel()
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        if self._reader:
            self._write(frame(READ, len(data), "", None))
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= 4:
            size = int.from_bytes(self._buffer[start : start + 4], "big")
            if size > LARGEST:
                self.close()
                return
            end = start + 4 + size
            if len(self._buffer) < end:
                break
            message = _decode(self._buffer[start + 4 : end])
            start = end
            self._receive(*message)
        del self._buffer[:start]

    def _receive(self, kind: int, number: int, name: str, body: Any) -> None:
        if kind == REQUEST:
            task = asyncio.get_running_loop().create_task(self._answer(number, name, body))
            self._tasks[number] = task
            task.add_done_callback(lambda _: self._tasks.pop(number, None))
        elif kind == EVENT and name == OPEN:
            self._early = False
            self._send()
        elif kind == READ:
            self._unread -= number
            self._send()
        elif kind == EVENT:
            self._handlers[name](**body)
        elif kind == PING:
            self._write(frame(PONG, 0, "", None))
        elif kind == CANCEL:
            if running := self._tasks.get(number):
                running.cancel()
        elif (future := self._calls.get(number)) and not future.done():
            if kind == RESULT:
                future.set_result(body)
            else:
                future.set_exception(from_wire(body))

    async def _answer(self, number: int, name: str, params: dict[str, Any]) -> None:
        try:
            handler = self._handlers.get(name)
            if handler is None:
                raise LabError(f"the lab has no operation {name!r}")
            result = handler(**params)
            if isinstance(result, Awaitable):
                result = await result
            reply = frame(RESULT, number, "", result)
        except Exception as error:
            reply = frame(ERROR, number, "", to_wire(error))
        self._write(reply)

    def _write(self, data: bytes) -> None:
        self._held += data
        self._send()

    def _send(self) -> None:
        """Write what may be written by now."""
        if self._early or not self._transport:
            return
        if self._transport.is_closing():
            self._held.clear()
            return
        room = self._window - self._unread if self._window else len(self._held)
        if data := bytes(self._held[:room]):
            del self._held[:room]
            self._unread += len(data)
            self._transport.write(data)
