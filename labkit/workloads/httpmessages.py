"""HTTP requests and responses as the built-in server reads and writes them."""

from __future__ import annotations

import functools
import time
from http import HTTPStatus
from typing import NamedTuple

PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"


class Request(NamedTuple):
    """One request. `target`: path and query as sent; `client`: the peer as "address:port"; `port`: ours."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    client: str
    port: int

    def header(self, name: str) -> str:
        """The first value of a header, whatever its case; empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Response(NamedTuple):
    body: bytes = b""
    status: int = 200
    kind: str = PLAIN
    headers: tuple[tuple[str, str], ...] = ()


def encode(response: Response, keep: bool, head: bool = False) -> bytes:
    """A response as it goes over the wire, with the headers that Go's net/http sets."""
    bodiless = response.status in (204, 304)
    lines = [f"HTTP/1.1 {response.status} {_phrase(response.status)}", f"Date: {_date(int(time.time()))}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if not bodiless:
        lines += [f"Content-Length: {len(response.body)}", f"Content-Type: {response.kind}"]
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if head or bodiless else response.body)


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))


@functools.lru_cache(maxsize=64)
def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status code {status}"
