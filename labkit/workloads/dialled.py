"""A TCP connection to a server in a pod, for port-forward: to the pod's own localhost, as containerd makes it.

Source: internal/cri/server/sandbox_portforward_linux.go of containerd 2.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

from labkit.errors import CommandError
from labkit.linux import netns
from labkit.net.place import Place

TIMEOUT = 10.0  # seconds
_READ = 65536


class Dialled(asyncio.Protocol):
    """The connection. `written(1, data)`: what it receives; `taken(n)`: so many bytes of what it was fed are sent."""

    def __init__(self, written: Callable[[int, bytes], None], taken: Callable[[int], None]) -> None:
        self._written = written
        self._taken = taken
        self._transport: asyncio.Transport | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._full = False
        self._untold = 0

    @classmethod
    async def to(
        cls, place: Place, port: int, written: Callable[[int, bytes], None], taken: Callable[[int], None]
    ) -> Dialled:
        """Raises `CommandError` in containerd's words."""
        loop = asyncio.get_running_loop()
        reasons = []
        for family, address, network in (
            (socket.AF_INET, "127.0.0.1", f"IPv4: dial tcp4 127.0.0.1:{port}"),
            (socket.AF_INET6, "::1", f"IPv6 dial tcp6 [::1]:{port}"),
        ):
            try:
                sock = await _connected(place, family, address, port)
            except OSError as error:
                timed_out = isinstance(error, TimeoutError) and not error.errno
                why = "i/o timeout" if timed_out else os.strerror(error.errno or 0).lower()
                reasons.append(f"{network}: connect: {why}")
            else:
                _, dialled = await loop.create_connection(lambda: cls(written, taken), sock=sock)
                return dialled
        raise CommandError(
            f'failed to execute portforward in network namespace "/var/run/netns/{Path(place.netns).name}": failed to '
            f'connect to localhost:{port} inside namespace "{place.name}", {" ".join(reasons)} '
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream socket's
        self._transport = transport
        transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        self._written(1, data)

    def eof_received(self) -> bool:
        return False  # the answer is over: so is the connection

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        if not self._ended.done():
            self._ended.set_result(0)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._release()

    def feed(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            self._taken(len(data))
            return
        self._untold += len(data)
        self._transport.write(data)
        if not self._full:
            self._release()

    def close_input(self) -> None:
        if self._transport and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()

    def resize(self, columns: int, rows: int) -> None:
        """A connection has no size."""

    def pause(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def end(self) -> None:
        if self._transport:
            self._transport.abort()
        await self.wait()

    def _release(self) -> None:
        self._full = False
        told, self._untold = self._untold, 0
        self._taken(told)


async def _connected(place: Place, family: int, address: str, port: int) -> socket.socket:
    sock = netns.socket_in(place.netns, family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        async with asyncio.timeout(TIMEOUT):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock
