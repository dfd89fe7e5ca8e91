"""Clients of the streams' protocols, a frame or a message at a time."""

from __future__ import annotations

from typing import Any

from wire import Far
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Pong, TextMessage

from labkit.apiserver.streams import spdy_frames as frames
from labkit.apiserver.streams.spdy_frames import Control, Data, Decoder, Encoder, Frame


class Browser:
    """A WebSocket client."""

    def __init__(self, far: Far) -> None:
        self.far = far
        self.socket = Connection(ConnectionType.CLIENT)

    def send(self, *messages: bytes | str | Event) -> None:
        for message in messages:
            event = BytesMessage(message) if isinstance(message, bytes) else message
            self.far.send(self.socket.send(TextMessage(event) if isinstance(event, str) else event))

    async def events(self) -> list[Any]:
        """All until the server closes: messages as (channel, data), the end as ("close", code)."""
        found: list[Any] = []
        message = b""
        while data := await self.far.read():
            self.socket.receive_data(data)
            for event in self.socket.events():
                if isinstance(event, BytesMessage | TextMessage):
                    message += event.data.encode() if isinstance(event, TextMessage) else bytes(event.data)
                    if event.message_finished:
                        found.append((message[0], message[1:]))
                        message = b""
                elif isinstance(event, CloseConnection):
                    found.append(("close", event.code))
                    if self.socket.state is ConnectionState.REMOTE_CLOSING:
                        self.far.send(self.socket.send(event.response()))
                elif isinstance(event, Pong):
                    found.append(("pong", bytes(event.payload)))
        return found


class Spdy:
    """A SPDY client. `tunnel`: its bytes go as messages of a WebSocket."""

    def __init__(self, far: Far, tunnel: bool = False) -> None:
        self.far = far
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.tunnel = Browser(far) if tunnel else None

    def send(self, *sent: Frame) -> None:
        for frame in sent:
            data = self.encoder.encode(frame)
            if self.tunnel:
                self.tunnel.send(data[:5], data[5:])
            else:
                self.far.send(data)

    def open(self, *kinds: str, first: int = 1, **headers: str) -> dict[str, int]:
        numbers = {kind: first + 2 * i for i, kind in enumerate(kinds)}
        self.send(*(Control(frames.SYN_STREAM, n, {"streamType": kind, **headers}) for kind, n in numbers.items()))
        return numbers

    async def some(self) -> list[Frame]:
        """What comes next; nothing at the end."""
        data = await self.far.read()
        if self.tunnel:
            self.tunnel.socket.receive_data(data or None)
            data = b"".join(bytes(e.data) for e in self.tunnel.socket.events() if isinstance(e, BytesMessage))
        return list(self.decoder.feed(data))

    async def frames(self, last: int = frames.GOAWAY) -> list[Frame]:
        """All until one of a type."""
        found: list[Frame] = []
        while not any(isinstance(f, Control) and f.type == last for f in found):
            found += await self.some()
        return found

    async def until_finished(self, *streams: int) -> list[Frame]:
        """All until the server has finished the streams."""
        found: list[Frame] = []
        while not finished(found) >= set(streams):
            found += await self.some()
        return found


def data(found: list[Frame], stream: int) -> bytes:
    return b"".join(f.data for f in found if isinstance(f, Data) and f.stream == stream)


def finished(found: list[Frame]) -> set[int]:
    return {f.stream for f in found if isinstance(f, Data) and f.fin}
