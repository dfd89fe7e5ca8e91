"""A SPDY connection as its server sees it: streams that the client opens, each with headers and two directions.

    client ── SYN_STREAM ──> accept(stream) ── SYN_REPLY, or RST_STREAM where it raises ──> client

A stream that nobody reads holds back the whole connection once it has 256 KiB: memory stays bounded, as with
moby/spdystream, which knows no windows either; clients that do count theirs are told what was read. Their own windows
are not honoured: a client that never grows them, as all of client-go, would stop after 64 KiB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from labkit.apiserver.streams import spdy_frames as frames
from labkit.apiserver.streams.ends import Upgraded
from labkit.apiserver.streams.pipe import PIECE, Pipe
from labkit.apiserver.streams.spdy_frames import Control, Data, Frame, ProtocolError

MOST_STREAMS = 2000

Accept = Callable[["Stream"], None]


class Stream:
    """One stream. `read` and `write` end when either side resets it or the connection goes.

    broken  whether it was reset, or its connection lost: nobody is at the other end any more
    """

    def __init__(self, session: Session, number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self.broken = False
        self._session = session
        self._pipe = Pipe()
        self._finished = False  # this end sends no more
        self._unreported = 0

    @property
    def over(self) -> bool:
        return self._pipe.ended and self._finished

    async def read(self) -> bytes:
        """What has come, at most 32 KiB; empty at the end."""
        data = await self._pipe.get()
        self._unreported += len(data)
        if self._unreported >= PIECE:
            grown, self._unreported = self._unreported, 0
            await self._session.grow(self, grown)
        return data

    async def write(self, data: bytes) -> None:
        """Send. Nothing happens on a stream that is finished. Raises `ConnectionError` when the client has gone."""
        for at in range(0, len(data), PIECE):
            if not self._finished:
                await self._session.send(Data(self.number, data[at : at + PIECE]))

    async def finish(self) -> None:
        """Nothing more will be sent."""
        if not self._finished:
            self._finished = True
            await self._session.send(Data(self.number, b"", fin=True))
            self._session.forget(self)

    async def take(self, data: bytes) -> None:
        """Keep what came until it is read; waits while that is too much."""
        await self._pipe.put(data)

    def end(self) -> None:
        """The client sends no more."""
        self._pipe.end()
        self._session.forget(self)

    def discard(self) -> None:
        """Nobody will read what the client sends."""
        self._pipe.end(discard=True)
        self._session.forget(self)

    def sever(self) -> None:
        """Nobody is at the other end any more."""
        self.broken = self._finished = True
        self.discard()


class Session:
    """The connection. `run` serves it until the client goes; `accept` is called for each new stream, and may refuse it
    by a `ProtocolError`.
    """

    def __init__(self, connection: Upgraded, accept: Accept) -> None:
        self._connection = connection
        self._accept = accept
        self._encoder = frames.Encoder()
        self._writing = asyncio.Lock()  # frames go out whole, and headers in the order in which they were deflated
        self._streams: dict[int, Stream] = {}
        self._last = 0
        self._pings = 0
        self._parting = False

    async def run(self) -> None:
        """Serve until the client closes; it is told what was wrong with its last frame, if something was."""
        decoder = frames.Decoder()
        try:
            while data := await self._connection.read():
                for frame in decoder.feed(data):
                    await self._receive(frame)
        except ProtocolError:
            with suppress(ConnectionError):
                await self._goodbye(frames.PROTOCOL_ERROR)
        except ConnectionError:
            pass
        finally:
            for stream in list(self._streams.values()):
                stream.sever()

    async def ping(self) -> None:
        """Ask the client for a sign of life. A server's numbers are even."""
        self._pings += 2
        await self.send(Control(frames.PING, value=self._pings))

    async def close(self) -> None:
        """Say goodbye."""
        await self._goodbye(0)

    async def send(self, frame: Frame) -> None:
        async with self._writing:
            await self._connection.write(self._encoder.encode(frame))

    async def grow(self, stream: Stream, size: int) -> None:
        """Tell the client that so many bytes were read."""
        if not self._parting:
            await self.send(Control(frames.WINDOW_UPDATE, 0, value=size))
            if not stream.over:
                await self.send(Control(frames.WINDOW_UPDATE, stream.number, value=size))

    def forget(self, stream: Stream) -> None:
        """Let go of a stream that is over."""
        if stream.over:
            self._streams.pop(stream.number, None)

    async def _goodbye(self, status: int) -> None:
        self._parting = True
        await self.send(Control(frames.GOAWAY, self._last, value=status))

    async def _receive(self, frame: Frame) -> None:
        if isinstance(frame, Data):
            await self._data(frame)
        elif frame.type == frames.SYN_STREAM:
            await self._open(frame)
        elif frame.type == frames.PING and frame.value % 2:  # a client's own numbers are odd
            await self.send(frame)
        elif frame.type == frames.RST_STREAM and (stream := self._streams.get(frame.stream)):
            stream.sever()
        elif frame.type == frames.HEADERS and frame.fin and (stream := self._streams.get(frame.stream)):
            stream.end()

    async def _data(self, frame: Data) -> None:
        if stream := self._streams.get(frame.stream):
            if frame.data:
                await stream.take(frame.data)
            if frame.fin:
                stream.end()
        elif frame.stream > self._last:
            await self.send(Control(frames.RST_STREAM, frame.stream, value=frames.INVALID_STREAM))

    async def _open(self, frame: Control) -> None:
        if frame.stream <= self._last or not frame.stream % 2:
            raise ProtocolError(f"stream {frame.stream} after stream {self._last}")
        self._last = frame.stream
        stream = Stream(self, frame.stream, frame.headers or {})
        try:
            if len(self._streams) >= MOST_STREAMS or self._parting:
                raise ProtocolError("too many streams")
            self._accept(stream)
        except ProtocolError:
            await self.send(Control(frames.RST_STREAM, frame.stream, value=frames.REFUSED_STREAM))
            return
        self._streams[frame.stream] = stream
        await self.send(Control(frames.SYN_REPLY, frame.stream))
        if frame.fin:
            stream.end()
