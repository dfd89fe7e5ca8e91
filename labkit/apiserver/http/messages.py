"""What a handler gets and gives: a request, and one of three answers to it. Plain values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol
from urllib.parse import parse_qs, unquote

JSON = "application/json"
TEXT = "text/plain"


class Certified(NamedTuple):
    """Who a verified client certificate says the client is: its common name, and its organizations as groups."""

    name: str
    groups: tuple[str, ...]


@dataclass
class Request:
    """One request. `target`: path and query as sent; `headers` by lower-case name; `client`: the peer's address."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    client: str = ""
    certified: Certified | None = None
    upgrade: str = ""

    @cached_property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The values of each parameter. Raises ValueError where there are too many."""
        text = self.target.partition("?")[2]
        return parse_qs(text, keep_blank_values=True, max_num_fields=1000) if text else {}

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """A whole answer; `kind` is its content type."""

    body: bytes = b""
    status: int = 200
    kind: str = JSON
    headers: Headers = ()
    warnings: tuple[str, ...] = ()


class Sink(Protocol):
    """Where a stream is written: each `write` is sent at once, as one chunk."""

    def write(self, data: bytes) -> None: ...

    @property
    def full(self) -> bool:
        """Whether the client has so much before it that one should wait with `drain`."""

    async def drain(self) -> None: ...


@dataclass(frozen=True)
class Stream:
    """An answer of unknown length: `run` writes it, and is cancelled when the client goes."""

    run: Callable[[Sink], Awaitable[None]]
    kind: str = JSON
    headers: Headers = ()


class Upgraded(NamedTuple):
    """A connection that speaks something else from now on. Closing the writer ends it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@dataclass(frozen=True)
class Upgrade:
    """101: `run` gets the connection, with all that the client has sent behind the request, until it returns.

    protocol  value of the Upgrade header: "websocket", "SPDY/3.1"
    """

    protocol: str
    run: Callable[[Upgraded], Awaitable[None]]
    headers: Headers = field(default=())


Reply = Answer | Stream | Upgrade
Handler = Callable[[Request], Reply | Awaitable[Reply]]
