"""The proxy process of a node, seen from outside: started in its network namespace, spoken to, ended."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Self

import msgspec

from labkit.errors import CommandError, LabError, SandboxError
from labkit.linux import netns
from labkit.proxy.userspace.counters import Counters
from labkit.proxy.userspace.messages import Claim, Opened, Wanted
from labkit.sandbox.channel import Peer


class ProxyProcess:
    """It goes with its channel, so with this process however that ends. Its calls raise `CommandError`."""

    def __init__(self, popen: subprocess.Popen[bytes], peer: Peer) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._peer = peer

    @classmethod
    async def start(cls, path: str, family: str) -> Self:
        """In the network namespace at `path`. Raises `CommandError`."""
        mine, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "labkit.proxy.userspace.server", str(theirs.fileno()), family]

        def spawn() -> subprocess.Popen[bytes]:
            with theirs, netns.entered(path):
                return subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, cwd="/", pass_fds=[theirs.fileno()], start_new_session=True
                )

        try:
            popen = await asyncio.to_thread(spawn)
        except OSError as error:
            mine.close()
            raise CommandError(f"no proxy process can be started in {path}: {error}") from error
        return cls(popen, await Peer.over(mine, {}))

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    async def open(self, wanted: Sequence[Wanted], claims: Sequence[Claim]) -> Opened:
        """Serve Service ports, hold ports of the node: `Server.open`."""
        return msgspec.convert(await self._call("open", wanted=wanted, claims=claims), Opened)

    async def close(self, gone: Sequence[tuple[str, str]], claims: Sequence[Claim]) -> None:
        await self._call("close", gone=gone, claims=claims)

    async def counters(self) -> dict[str, Counters]:
        return msgspec.convert(await self._call("counters"), dict[str, Counters])

    async def relayed(self, protocol: str, asked: Sequence[tuple[str, str]]) -> list[str]:
        """Where connections went: `Server.relayed`."""
        return msgspec.convert(await self._call("relayed", protocol=protocol, asked=asked), list[str])

    async def stop(self) -> None:
        self._peer.close()
        await asyncio.to_thread(self._popen.wait)

    async def _call(self, method: str, **params: Any) -> Any:
        try:
            return await self._peer.call(method, **params)
        except SandboxError as error:
            raise CommandError(f"the proxy process {self.pid} has ended") from error
        except LabError as error:
            raise CommandError(f"the proxy process {self.pid} cannot {method}: {error.message}") from error
