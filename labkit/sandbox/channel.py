"""Two peers on one byte stream: requests, results, errors, events; either side may ask.

    length (4 bytes, big endian) | msgpack [kind, id, name, body]

It needs nothing but an ordered stream, so a socket pair and a serial line serve alike. The notebook's side runs it
in a thread of its own (`labkit.sandbox.client`), every process inside the sandbox in its asyncio loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec

from labkit.errors import LabError, SandboxError, from_wire, to_wire

Handler = Callable[..., Any]

REQUEST, RESULT, ERROR, EVENT, CANCEL = range(5)
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
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._next = 0
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def over(cls, sock: socket.socket, handlers: Mapping[str, Handler]) -> Peer:
        """A peer that speaks over `sock`, a connected stream socket."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        _, peer = await loop.create_connection(lambda: cls(handlers), sock=sock)
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

    async def closed(self) -> None:
        """Wait until the other end has gone."""
        await asyncio.shield(self._closed)

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self._calls.values():
            if not future.done():
                future.set_exception(SandboxError("the lab has ended"))
        for task in self._tasks.values():
            task.cancel()
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
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
        elif kind == EVENT:
            self._handlers[name](**body)
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
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)
