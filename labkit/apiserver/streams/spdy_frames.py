"""SPDY/3.1 on the wire: frames from bytes and bytes from frames. Pure; one pair of objects for one connection.

    control   1 version(15) type(16) | flags(8) length(24) | payload      headers go through one zlib stream
    data      0 stream(31)           | flags(8) length(24) | payload      handed on in the pieces that arrive

Source: SPDY Protocol Draft 3.1 (sections 2.2 and 2.6); what of it Kubernetes' clients use: moby/spdystream.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labkit.errors import LabError

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL = 1, 2, 3, 5
LARGEST_CONTROL = 64 * 1024
LARGEST_HEADERS = 256 * 1024
"""Bytes of a control frame, and of its headers once inflated; data frames have no limit, they are never kept."""

_NAMES = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow "
    "authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug "
    "Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(len(name).to_bytes(4, "big") + name.replace("_", " ").encode() for name in _NAMES.split()) + _REST.encode()
)
"""What both ends' zlib knows before the first header."""


class ProtocolError(LabError):
    """Bytes that are not the protocol's; the connection cannot go on."""


@dataclass(frozen=True)
class Data:
    """A piece of a stream; `fin`: its last."""

    stream: int
    data: bytes
    fin: bool = False


@dataclass(frozen=True)
class Control:
    """A control frame. `value`: a reset's or going-away's status, a ping's number, a window's growth."""

    type: int
    stream: int = 0
    headers: Mapping[str, str] | None = None
    fin: bool = False
    value: int = 0


Frame = Data | Control


class Decoder:
    """Frames from bytes, in whatever pieces those come."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._stream = 0  # of the data frame that is under way
        self._left = 0  # bytes of it that have not come yet
        self._fin = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes. Raises `ProtocolError`."""
        self._buffer += data
        while True:
            if self._left:
                if not self._buffer:
                    return
                piece = bytes(self._buffer[: self._left])
                del self._buffer[: len(piece)]
                self._left -= len(piece)
                yield Data(self._stream, piece, self._fin and not self._left)
                continue
            if len(self._buffer) < 8:
                return
            first, second = struct.unpack_from("!II", self._buffer)
            flags, length = second >> 24, second & 0xFFFFFF
            if not first >> 31:
                del self._buffer[:8]
                self._stream, self._left, self._fin = first, length, bool(flags & FIN)
                if not length:
                    yield Data(first, b"", self._fin)
                continue
            if (version := first >> 16 & 0x7FFF) != VERSION:
                raise ProtocolError(f"SPDY version {version} is not served, {VERSION} is")
            if length > LARGEST_CONTROL:
                raise ProtocolError(f"a control frame of {length} bytes")
            if len(self._buffer) < 8 + length:
                return
            payload = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            yield self._control(first & 0xFFFF, flags, payload)

    def _control(self, kind: int, flags: int, payload: bytes) -> Control:
        fin = bool(flags & FIN)
        try:
            if kind == SYN_STREAM:
                stream, _parent, _priority = struct.unpack_from("!IIH", payload)
                return Control(kind, stream & 0x7FFFFFFF, self._headers(payload[10:]), fin)
            if kind in (SYN_REPLY, HEADERS):
                (stream,) = struct.unpack_from("!I", payload)
                return Control(kind, stream & 0x7FFFFFFF, self._headers(payload[4:]), fin)
            if kind in (RST_STREAM, GOAWAY, WINDOW_UPDATE):
                stream, value = struct.unpack("!II", payload)
                return Control(kind, stream & 0x7FFFFFFF, value=value)
            if kind == PING:
                return Control(kind, value=struct.unpack("!I", payload)[0])
        except struct.error as error:
            raise ProtocolError(f"a control frame of type {kind} with {len(payload)} bytes") from error
        return Control(kind)  # settings, and what later versions may add: nothing that changes what is sent here

    def _headers(self, block: bytes) -> dict[str, str]:
        """Name and value pairs, each text after its length; names come in lower case."""
        try:
            plain = self._inflate.decompress(block, LARGEST_HEADERS)
        except zlib.error as error:
            raise ProtocolError(f"headers that cannot be inflated: {error}") from error
        if self._inflate.unconsumed_tail:
            raise ProtocolError(f"headers of more than {LARGEST_HEADERS} bytes")
        at = 4
        texts: list[str] = []
        try:
            (count,) = struct.unpack_from("!I", plain)
            while len(texts) < 2 * count:
                (size,) = struct.unpack_from("!I", plain, at)
                texts.append(plain[at + 4 : at + 4 + size].decode("latin-1"))
                at += 4 + size
        except struct.error as error:
            raise ProtocolError("headers that end too early") from error
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


class Encoder:
    """Bytes from frames."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """One frame; a client's end can say the same as a server's."""
        if isinstance(frame, Data):
            return struct.pack("!II", frame.stream, (FIN if frame.fin else 0) << 24 | len(frame.data)) + frame.data
        head = struct.pack("!I", frame.stream)
        if frame.type == SYN_STREAM:
            payload = head + bytes(6) + self._headers(frame.headers or {})
        elif frame.type in (SYN_REPLY, HEADERS):
            payload = head + self._headers(frame.headers or {})
        elif frame.type == PING:
            payload = struct.pack("!I", frame.value)
        else:
            payload = head + struct.pack("!I", frame.value)
        first = 1 << 31 | VERSION << 16 | frame.type
        return struct.pack("!II", first, (FIN if frame.fin else 0) << 24 | len(payload)) + payload

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        texts = [text.encode("latin-1") for pair in headers.items() for text in pair]
        plain = struct.pack("!I", len(headers)) + b"".join(struct.pack("!I", len(t)) + t for t in texts)
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
