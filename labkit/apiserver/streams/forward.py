"""Port-forward: connections to ports of a pod, each joined to a pair of streams or channels.

    client ── data  ── | join | ── Connection ── 127.0.0.1:port in the pod
           <─ error ── |      |                   what went wrong, as text

Source: pkg/kubelet/cri/streaming/portforward/{httpstream,websocket}.go of v1.34.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from labkit.apiserver.streams import spdy
from labkit.apiserver.streams.alive import Ask, asking
from labkit.apiserver.streams.channels import Channels
from labkit.apiserver.streams.ends import Dial, Upgraded
from labkit.apiserver.streams.pipe import Pipe
from labkit.apiserver.streams.spdy_frames import ProtocolError
from labkit.apiserver.streams.tasks import Tasks
from labkit.apiserver.streams.websocket import PROTOCOL_ERROR, WebSocket
from labkit.errors import LabError

PATIENCE = 30.0
"""Seconds in which the second stream of a pair must follow the first."""


@dataclass(frozen=True)
class Side:
    """The client's side of one connection. `broken` says, at the end of `read`, whether nobody listens any more."""

    read: Callable[[], Awaitable[bytes]]
    write: Callable[[bytes], Awaitable[None]]
    ask: Ask
    broken: Callable[[], bool] = lambda: False


@dataclass
class Pair:
    """The two streams of one forwarded connection."""

    request: str
    data: spdy.Stream | None = None
    error: spdy.Stream | None = None

    def add(self, stream: spdy.Stream) -> str:
        """Put a stream in its place; returns what is wrong with it."""
        kind = stream.headers["streamtype"]
        if getattr(self, kind):
            return f"error processing stream for request {self.request}: {kind} stream already assigned"
        setattr(self, kind, stream)
        return ""


class Forward:
    """All forwarded connections of one client over SPDY. `pod`: what the messages call it."""

    def __init__(self, connection: Upgraded, dial: Dial, pod: str) -> None:
        self._connection = connection
        self._session = spdy.Session(connection, self._accept)
        self._dial = dial
        self._pod = pod
        self._pairs: dict[str, Pair] = {}
        self._tasks = Tasks()

    async def run(self) -> None:
        """Serve until the client goes; what is open then ends with it."""
        try:
            await self._tasks.first(self._connection.gone(), self._session.run())
        finally:
            await self._tasks.end()

    def _accept(self, stream: spdy.Stream) -> None:
        port(stream.headers.get("port", ""))
        kind = stream.headers.get("streamtype", "")
        if kind not in ("data", "error"):
            raise ProtocolError(f'invalid stream type "{kind}"' if kind else '"streamType" header is required')
        # Clients before the header opened the error stream first, and the data stream right behind it.
        request = stream.headers.get("requestid") or str(stream.number - (2 if kind == "data" else 0))
        pair = self._pairs.setdefault(request, Pair(request))
        if wrong := pair.add(stream):
            self._tasks.start(self._complain(pair, wrong))
            stream.discard()
        elif pair.data and pair.error:
            del self._pairs[request]
            self._tasks.start(self._join(pair.data, pair.error))
        else:
            self._tasks.start(self._await_second(pair))

    async def _await_second(self, pair: Pair) -> None:
        await asyncio.sleep(PATIENCE)
        if self._pairs.get(pair.request) is pair:
            del self._pairs[pair.request]
            await self._complain(pair, f"(request={pair.request}) timed out waiting for streams")

    async def _complain(self, pair: Pair, text: str) -> None:
        if pair.error:
            await pair.error.write(text.encode())

    async def _join(self, data: spdy.Stream, error: spdy.Stream) -> None:
        number = port(data.headers["port"])
        try:
            failure = await join(
                self._dial, number, Side(data.read, data.write, self._session.ping, lambda: data.broken)
            )
            if failure:
                await error.write(complaint(number, self._pod, failure).encode())
        finally:
            for stream in (data, error):
                stream.discard()
                await stream.finish()


async def over_channels(socket: WebSocket, base64: bool, ports: Sequence[int], dial: Dial, pod: str) -> None:
    """Channel 2i: data of the i-th port, 2i + 1: its errors; the first message of each is the port, little endian."""
    channels = Channels(base64)
    pipes = {2 * i: Pipe() for i in range(len(ports))}

    async def send(channel: int, data: bytes) -> None:
        await socket.send(channels.message(channel, data), text=base64)

    async def listen() -> None:
        while (piece := await socket.receive()) is not None:
            try:
                for chunk in channels.feed(piece):
                    if chunk.data and (pipe := pipes.get(chunk.channel)):
                        await pipe.put(chunk.data)
            except ProtocolError as error:
                await socket.close(PROTOCOL_ERROR, error.message)
                return

    async def serve(i: int, number: int) -> None:
        pipe = pipes[2 * i]
        failure = await join(dial, number, Side(pipe.get, lambda data: send(2 * i, data), socket.ping))
        pipe.end(discard=True)
        if failure:
            await send(2 * i + 1, complaint(number, pod, failure).encode())

    async def serve_all() -> None:
        for i, number in enumerate(ports):
            for channel in (2 * i, 2 * i + 1):
                await send(channel, struct.pack("<H", number))
        await asyncio.gather(*(serve(i, number) for i, number in enumerate(ports)))

    tasks = Tasks()
    try:
        await tasks.first(socket.gone(), listen(), serve_all())
    finally:
        await tasks.end()  # then nobody else receives
    await socket.part()


async def join(dial: Dial, number: int, client: Side) -> str:
    """Carry bytes both ways until the pod closes, or the client is gone; returns why it could not be done."""
    try:
        connection = await dial(number)
    except LabError as error:
        return error.message

    async def upward() -> None:
        while data := await client.read():
            await asking(connection.write(data), client.ask)
        if not client.broken():
            await connection.close_write()
            await asyncio.Event().wait()  # the answer may go on

    async def downward() -> None:
        while data := await connection.read():
            await client.write(data)

    tasks = Tasks()
    try:
        await tasks.first(upward(), downward())
    except LabError as error:
        return error.message
    finally:
        await tasks.end()
        await connection.close()
    return ""


def ports(query: Mapping[str, Sequence[str]]) -> list[int]:
    """The ports that a client of the channel protocol names in its query. Raises `ProtocolError`."""
    values = query.get("ports", ())
    if not values:
        raise ProtocolError('query parameter "port" is required')
    return [port(number) for value in values for number in value.split(",")]


def port(text: str) -> int:
    """A port as clients write it. Raises `ProtocolError` in the kubelet's words."""
    if not text:
        raise ProtocolError('"port" header is required')
    if not text.isascii() or not text.isdigit() or int(text) > 0xFFFF:
        raise ProtocolError(f'unable to parse "{text}" as a port')
    if int(text) < 1:
        raise ProtocolError(f'port "{text}" must be > 0')
    return int(text)


def complaint(number: int, pod: str, why: str) -> str:
    return f"error forwarding port {number} to pod {pod}, uid : {why}"
