"""Which protocol a client gets, from the headers of its request. Pure.

    Upgrade: websocket, Sec-WebSocket-Protocol        SPDY/3.1+portforward.k8s.io, v5.channel.k8s.io, …
    Upgrade: SPDY/3.1,  X-Stream-Protocol-Version     v4.channel.k8s.io, …, portforward.k8s.io

Source: k8s.io/apimachinery/pkg/util/httpstream (httpstream.go Handshake, wsstream/conn.go), RFC 6455 section 4.2.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from labkit.control import status

WEBSOCKET, SPDY = "websocket", "SPDY/3.1"
COMMAND_CHANNELS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
)
COMMAND_STREAMS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
TUNNEL = "SPDY/3.1+portforward.k8s.io"
FORWARD_CHANNELS = (TUNNEL, "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "")
FORWARD_STREAMS = ("portforward.k8s.io",)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Accepted:
    """What both ends agree on. `headers` are those of the answer, besides Upgrade and Connection."""

    kind: Literal["websocket", "SPDY/3.1"]
    protocol: str
    headers: tuple[tuple[str, str], ...]


def accept(headers: Mapping[str, str], channels: Sequence[str], streams: Sequence[str]) -> Accepted:
    """The protocol: the client's first that is served, from `channels` over a WebSocket, from `streams` over SPDY.

    headers: by lower-case name, several of one name joined by commas. Raises `ApiError` (400, 403).
    """
    upgrade = headers.get("upgrade", "").lower()
    if "upgrade" not in headers.get("connection", "").lower() or upgrade not in (WEBSOCKET, SPDY.lower()):
        raise status.refusal(400, "BadRequest", "Upgrade request required")
    if upgrade == WEBSOCKET:
        return _websocket(headers, channels)
    offered = _listed(headers.get("x-stream-protocol-version", ""))
    if not offered:
        raise status.refusal(400, "BadRequest", "unable to upgrade: X-Stream-Protocol-Version is required")
    protocol = next((name for name in offered if name in streams), None)
    if protocol is None:
        raise status.refusal(403, "Forbidden", f"unable to upgrade: {_disagreement(offered, streams)}")
    return Accepted("SPDY/3.1", protocol, (("X-Stream-Protocol-Version", protocol),))


def _websocket(headers: Mapping[str, str], channels: Sequence[str]) -> Accepted:
    key = headers.get("sec-websocket-key", "").strip()
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        valid = False
    if not valid or headers.get("sec-websocket-version") != "13":
        raise status.refusal(400, "BadRequest", "unable to upgrade: a WebSocket of version 13 with a key is required")
    offered = _listed(headers.get("sec-websocket-protocol", ""))
    protocol = next((name for name in offered if name in channels), None) if offered else ""
    if protocol is None:
        raise status.refusal(
            403, "Forbidden", f"unable to upgrade: {_disagreement(offered, [c for c in channels if c])}"
        )
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    answer = [("Sec-WebSocket-Accept", base64.b64encode(digest).decode())]
    if protocol:
        answer.append(("Sec-WebSocket-Protocol", protocol))
    return Accepted("websocket", protocol, tuple(answer))


def _listed(value: str) -> list[str]:
    return [name for part in value.split(",") if (name := part.strip())]


def _disagreement(offered: Sequence[str], served: Sequence[str]) -> str:
    ours, theirs = " ".join(served), " ".join(offered)
    return f"unable to negotiate protocol: client supports [{theirs}], server accepts [{ours}]"
