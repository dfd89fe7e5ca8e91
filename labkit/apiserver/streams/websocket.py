"""Messages of a WebSocket, in the pieces that come, so that none has to fit into memory (RFC 6455).

Frames are wsproto's work; here are the waiting, the pings and the closing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError

from labkit.apiserver.streams.ends import Upgraded

NORMAL, PROTOCOL_ERROR = 1000, 1002
LINGER = 5.0  # seconds


@dataclass(frozen=True)
class Piece:
    """A part of a message; `last`: the message is whole with it."""

    data: bytes
    last: bool


class WebSocket:
    """The server's end of a WebSocket whose handshake is done."""

    def __init__(self, connection: Upgraded) -> None:
        self._connection = connection
        self._frames = Frames(ConnectionType.SERVER)
        self._pieces: deque[Piece] = deque()
        self._writing = asyncio.Lock()  # frames go out whole
        self._ended = False  # the client has closed

    async def receive(self) -> Piece | None:
        """The next piece of a text or binary message; None when the client has closed."""
        while not self._pieces and not self._ended:
            data = await self._connection.read()
            if not data:
                self._ended = True
                break
            self._frames.receive_data(data)
            await self._events()
        return self._pieces.popleft() if self._pieces else None

    async def send(self, data: bytes, text: bool = False) -> None:
        """One message. Raises `ConnectionError` when the client has gone, or said goodbye."""
        await self._send(TextMessage(data.decode()) if text else BytesMessage(data))

    async def ping(self) -> None:
        """Ask the client for a sign of life."""
        await self._send(Ping())

    async def gone(self) -> None:
        """Wait until the client has closed, also while nothing is received."""
        await self._connection.gone()

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye; nothing happens where either end has said it before."""
        with suppress(ConnectionError):
            await self._send(CloseConnection(code, reason[:120]))

    async def part(self) -> None:
        """Say goodbye, and wait a while for the client to say it too: what it has not read yet reaches it then."""
        await self.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while await self.receive() is not None:
                    pass

    async def _events(self) -> None:
        for event in self._frames.events():
            if isinstance(event, TextMessage):
                self._pieces.append(Piece(event.data.encode(), event.message_finished))
            elif isinstance(event, BytesMessage):
                self._pieces.append(Piece(bytes(event.data), event.message_finished))
            elif isinstance(event, Ping):
                with suppress(ConnectionError):
                    await self._send(event.response())
            elif isinstance(event, CloseConnection):  # the client's goodbye, or bytes that are no frame
                await self.close(event.code, event.reason or "")
                self._ended = True

    async def _send(self, event: TextMessage | BytesMessage | CloseConnection | Ping | Pong) -> None:
        async with self._writing:
            try:
                data = self._frames.send(event)
            except LocalProtocolError as error:
                raise ConnectionResetError("the client has closed the WebSocket") from error
            await self._connection.write(data)


class Tunnel:
    """A WebSocket whose binary messages are the bytes of another protocol, cut anywhere (KEP-4006, port-forward)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (piece := await self._socket.receive()) is not None:
            if piece.data:
                return piece.data
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)

    async def gone(self) -> None:
        await self._socket.gone()

    def close(self) -> None:
        """The connection below is its owner's to close."""
