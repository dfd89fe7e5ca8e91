"""Numbered channels in the messages of a WebSocket: what the first byte of a message says. Pure.

    binary   | channel (1 byte) | data |        text messages of clients count as well
    base64   | '0' + channel    | data in base64 |
    v5       | 255 | channel |                  the sender closes the channel

Source: k8s.io/apimachinery/pkg/util/httpstream/wsstream/conn.go; KEP-4006 for v5.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from labkit.apiserver.streams.spdy_frames import ProtocolError
from labkit.apiserver.streams.websocket import Piece

CLOSE = 255
LARGEST_BASE64 = 4 * 1024 * 1024


@dataclass(frozen=True)
class Chunk:
    """Data of a channel; None: the client closes it."""

    channel: int
    data: bytes | None


class Channels:
    """One direction each: `feed` for what the client sends, `message` for what it gets.

    base64   whether the protocol is one of the base64 kind
    closing  whether it has the close signal (v5)
    """

    def __init__(self, base64: bool = False, closing: bool = False) -> None:
        self._base64 = base64
        self._closing = closing
        self._channel: int | None = None  # of the message that is under way
        self._whole = bytearray()  # of one that must be read as a whole

    def feed(self, piece: Piece) -> Iterator[Chunk]:
        """What a piece of a message says. Raises `ProtocolError`."""
        data = piece.data
        if self._channel is None and data:
            self._channel, data = data[0], data[1:]
        channel = self._channel
        if piece.last:
            self._channel = None
        if channel is None:
            return
        if self._base64 or (self._closing and channel == CLOSE):
            self._whole += data
            if len(self._whole) > LARGEST_BASE64:
                raise ProtocolError(f"a message of more than {LARGEST_BASE64} bytes")
            if piece.last:
                whole, self._whole = bytes(self._whole), bytearray()
                yield self._read(channel, whole)
        elif data:
            yield Chunk(channel, data)

    def message(self, channel: int, data: bytes) -> bytes:
        """The message that carries data of a channel; one of the base64 kind is text."""
        if self._base64:
            return bytes([ord("0") + channel]) + base64.b64encode(data)
        return bytes([channel]) + data

    def _read(self, channel: int, whole: bytes) -> Chunk:
        if not self._base64:
            if len(whole) != 1:
                raise ProtocolError("a close signal names one channel")
            return Chunk(whole[0], None)
        try:
            return Chunk(channel - ord("0"), base64.b64decode(whole, validate=True))
        except binascii.Error as error:
            raise ProtocolError(f"a message that is not base64: {error}") from error
