r"""Streams into pods, in control: the other end of `labkit.workloads.streams`.

    async with await streams.exec(place, uid, "web", ["sh"], stdin=True, tty=True) as process:
        await process.write(b"date\n")
        stream, data = await process.read()

Neither side sends more than `WINDOW` bytes that the other has not reported as used.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgspec

from labkit.net.place import Place
from labkit.sandbox.channel import Peer
from labkit.workloads.streams import WINDOW

PIECE = 64 * 1024


class Remote:
    """A command in a container, the container itself, or a connection to a port: all are read and written alike."""

    def __init__(self, number: int, peer: Peer, forget: Callable[[int], None]) -> None:
        self._number = number
        self._peer = peer
        self._forget = forget
        self._output: deque[tuple[int, bytes]] = deque()
        self._used = 0  # bytes of output that were read and not reported yet
        self._untaken = 0  # bytes of input under way
        self._code: int | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self) -> tuple[int, bytes] | None:
        """What it writes next, as (1 stdout or 2 stderr, bytes); None after the last of it."""
        while not self._output and self._code is None:
            await self._wait()
        if not self._output:
            return None
        stream, data = self._output.popleft()
        self._used += len(data)
        if self._used >= PIECE or not self._output:
            used, self._used = self._used, 0
            self._tell("credit", used)
        return stream, data

    async def write(self, data: bytes) -> None:
        """Give it input; returns when it wants more. Nothing happens when it has ended."""
        for at in range(0, len(data), PIECE):
            piece = data[at : at + PIECE]
            while self._untaken + len(piece) > WINDOW and self._code is None:
                await self._wait()
            self._untaken += len(piece)
            self._tell("input", piece)

    async def close_stdin(self) -> None:
        self._tell("close")

    async def resize(self, columns: int, rows: int) -> None:
        """The size of its terminal."""
        self._tell("resize", columns, rows)

    async def wait(self) -> int:
        """The exit code, 128 + n after signal n."""
        while self._code is None:
            await self._wait()
        return self._code

    async def close(self) -> None:
        """Nobody listens any more: end it with all that it started, unless it has ended; returns when that is so."""
        try:
            if self._code is None:
                await self._peer.call("end_stream", number=self._number)
        finally:
            self._forget(self._number)

    def heard(self, do: str, values: Sequence[Any]) -> None:
        """What the workload process tells of it."""
        if do == "output":
            self._output.append((values[0], values[1]))
        elif do == "taken":
            self._untaken -= values[0]
        else:
            self._code = values[0]
        self._changed.set()

    def _tell(self, do: str, *values: Any) -> None:
        if self._code is None:
            self._peer.notify("stream", number=self._number, do=do, values=values)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class RemoteConnection:
    """A connection to a port of a pod."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    async def read(self) -> bytes:
        """What has come; empty at the end."""
        received = await self._remote.read()
        return received[1] if received else b""

    async def write(self, data: bytes) -> None:
        await self._remote.write(data)

    async def close_write(self) -> None:
        """No more will be written."""
        await self._remote.close_stdin()

    async def close(self) -> None:
        await self._remote.close()


class Streams:
    """All streams of the lab. `peer` is the channel to the workload process."""

    def __init__(self, peer: Callable[[], Peer]) -> None:
        self._peer = peer
        self._open: dict[int, Remote] = {}
        self._last = 0

    async def exec(
        self, place: Place, uid: str, container: str, command: Sequence[str], stdin: bool = False, tty: bool = False
    ) -> Remote:
        """Run a command in a container of a pod that runs in `place`. Raises `CommandError` in runc's words."""
        return await self._opened(
            "open_command", place, uid=uid, container=container, command=list(command), stdin=stdin, tty=tty
        )

    async def attach(self, place: Place, uid: str, container: str) -> Remote:
        """What a running container writes from now on, and its input if it has one. Raises `CommandError`."""
        return await self._opened("open_attachment", place, uid=uid, container=container)

    async def dial(self, place: Place, port: int) -> RemoteConnection:
        """Connect to a port on a pod's own localhost. Raises `CommandError` in containerd's words."""
        return RemoteConnection(await self._opened("open_connection", place, port=port))

    def heard(self, number: int, do: str, values: Sequence[Any]) -> None:
        """The event "stream" of the workload process."""
        if remote := self._open.get(number):
            remote.heard(do, values)

    async def _opened(self, method: str, place: Place, **params: Any) -> Remote:
        self._last += 1
        number = self._last
        peer = self._peer()
        remote = self._open[number] = Remote(number, peer, self._forget)
        try:
            await peer.call(method, number=number, place=msgspec.to_builtins(place), **params)
        except BaseException:
            self._forget(number)
            # Where the wait was cancelled it may be open all the same.
            peer.notify("stream", number=number, do="abandon", values=())
            raise
        return remote

    def _forget(self, number: int) -> None:
        self._open.pop(number, None)
