"""The ends that a stream joins: the client's connection, and what runs in the pod. Protocols, nothing else.

client ── Upgraded ── (a protocol of this package) ── Process or Connection ── pod
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

STDIN, STDOUT, STDERR = 0, 1, 2


class Upgraded(Protocol):
    """A connection that speaks HTTP no more."""

    async def read(self) -> bytes:
        """What has come; empty when the client has closed."""

    async def write(self, data: bytes) -> None:
        """Send; returns when there is room for more. Raises `ConnectionError` when the client has gone."""

    async def gone(self) -> None:
        """Wait until the client has closed, also while nothing is read."""

    def close(self) -> None:
        """Send what is left, then close."""


class Process(Protocol):
    """A command in a container, or a container that one is attached to."""

    async def read(self) -> tuple[int, bytes] | None:
        """What it writes next, as (STDOUT or STDERR, bytes); None after the last of it."""

    async def write(self, data: bytes) -> None:
        """Give it input; returns when it wants more."""

    async def close_stdin(self) -> None: ...

    async def resize(self, columns: int, rows: int) -> None: ...

    async def wait(self) -> int:
        """Its exit code, 128 + n after signal n."""

    async def close(self) -> None:
        """Nobody listens any more: end it, if it has not ended."""


class Connection(Protocol):
    """A TCP connection to a port in a pod."""

    async def read(self) -> bytes:
        """What has come; empty at the end."""

    async def write(self, data: bytes) -> None: ...

    async def close_write(self) -> None:
        """No more will be written."""

    async def close(self) -> None: ...


Dial = Callable[[int], Awaitable[Connection]]
