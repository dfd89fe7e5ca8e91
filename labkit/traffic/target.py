"""What a learner types as a target: http://web.shop/cart, https://…, tcp://10.96.0.20:80, udp://web:8081."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from labkit.errors import LabError
from labkit.net.packet import endpoint

PORTS = {"http": 80, "https": 443}
SCHEMES = ("http", "https", "tcp", "udp")


class Target(msgspec.Struct, frozen=True):
    """`path` includes the query; `authority` is what an HTTP request names as its Host."""

    scheme: str
    host: str
    port: int
    path: str = "/"

    @property
    def http(self) -> bool:
        return self.scheme in PORTS

    @property
    def authority(self) -> str:
        if self.port != PORTS.get(self.scheme):
            return endpoint(self.host, self.port)
        return f"[{self.host}]" if ":" in self.host else self.host


def parse(url: str) -> Target:
    """A target from its URL; without a scheme it is http. Raises `LabError` that says what is wrong with it."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        port = None
    if parts.scheme not in SCHEMES or not parts.hostname or not port:
        wrong = "a port is missing" if parts.scheme in SCHEMES and parts.hostname else "no such target"
        raise LabError(f"{url!r}: {wrong}; write for example http://web.shop/, tcp://10.96.0.20:80 or udp://web:8081")
    path = parts.path or "/"
    return Target(parts.scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path)
