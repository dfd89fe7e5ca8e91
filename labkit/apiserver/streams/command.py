"""exec and attach: a command's streams carried to a client, whichever protocol it speaks, and how it ended.

    client ── stdin, sizes ──> Process          `ChannelClient`   a WebSocket's channels
           <── stdout, stderr, final Status ──  `StreamClient`    SPDY's streams

When the client goes first, the command is ended. Source: pkg/kubelet/cri/streaming/remotecommand of v1.34.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.apiserver.streams import outcome, spdy
from labkit.apiserver.streams.alive import asking
from labkit.apiserver.streams.channels import Channels
from labkit.apiserver.streams.ends import STDERR, STDIN, STDOUT, Process, Upgraded
from labkit.apiserver.streams.handshake import Accepted
from labkit.apiserver.streams.sizes import Sizes
from labkit.apiserver.streams.spdy_frames import ProtocolError
from labkit.apiserver.streams.tasks import Tasks
from labkit.apiserver.streams.websocket import PROTOCOL_ERROR, WebSocket
from labkit.errors import LabError

STATUS, SIZES = 3, 4  # channels
PATIENCE = 30.0
LINGER = 5.0
"""Seconds in which a client must open its streams, and in which it may close by itself after the end."""

Start = Callable[[], Awaitable[Process]]
Raw = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """What a client asks for: `PodExecOptions`, or `PodAttachOptions` where the command is empty."""

    command: tuple[str, ...] = ()
    container: str = ""
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


def options(query: Mapping[str, Sequence[str]]) -> Options:
    """Options from a query; a terminal has no stderr of its own. Raises `ProtocolError` where none is asked for."""

    def asked(name: str) -> bool:  # as apimachinery's Convert_Slice_string_To_bool
        return name in query and query[name][0].lower() not in ("false", "0")

    tty = asked("tty")
    found = Options(
        tuple(query.get("command", ())),
        query.get("container", [""])[0],
        asked("stdin"),
        asked("stdout"),
        asked("stderr") and not tty,
        tty,
    )
    if not (found.stdin or found.stdout or found.stderr):
        raise ProtocolError("you must specify at least 1 of stdin, stdout, stderr")
    return found


class Client(Protocol):
    """The client, whatever it speaks."""

    async def open(self) -> None:
        """Returns when it is ready for output. Raises TimeoutError."""

    async def listen(self, process: Process) -> None:
        """Hand on what it sends; returns when it has gone."""

    async def output(self, stream: int, data: bytes) -> None: ...

    async def finish(self, status: Raw) -> None:
        """Tell how it ended, and wait for the client to close."""


async def converse(accepted: Accepted, connection: Upgraded, wanted: Options, start: Start) -> None:
    """Serve one exec or attach until either end is done; nothing of it runs on afterwards."""
    doing = "executing command in container" if wanted.command else "attaching to container"
    tasks = Tasks()
    client: Client
    if accepted.kind == "websocket":
        client = ChannelClient(connection, accepted.protocol, wanted)
    else:
        client = StreamClient(connection, accepted.protocol, wanted, tasks)
    try:
        await client.open()
        try:
            process = await start()
        except LabError as error:
            await client.finish(outcome.failed(doing, error.message))
            return
        try:
            if status := await _carry(connection, client, process, wanted):
                await client.finish(status)
        finally:
            await process.close()
    except (ConnectionError, TimeoutError):
        pass
    finally:
        await tasks.end()
        connection.close()


async def _carry(connection: Upgraded, client: Client, process: Process, wanted: Options) -> Raw | None:
    """How the command ended; None where the client went first."""
    shown = {STDOUT: wanted.stdout, STDERR: wanted.stderr}

    async def output() -> None:
        while (written := await process.read()) is not None:
            stream, data = written
            if shown[stream]:
                await client.output(stream, data)

    tasks = Tasks()
    try:
        if await tasks.first(connection.gone(), client.listen(process), output()) < 2:
            return None
    finally:
        await tasks.end()
    return outcome.ended(wanted.command, await process.wait())


class ChannelClient:
    """Channels 0 stdin, 1 stdout, 2 stderr, 3 the final status, 4 sizes, in a WebSocket's messages."""

    def __init__(self, connection: Upgraded, protocol: str, wanted: Options) -> None:
        self._socket = WebSocket(connection)
        self._base64 = "base64" in protocol
        self._channels = Channels(self._base64, closing=protocol.startswith("v5."))
        self._structured = protocol.startswith(("v4.", "v5."))
        self._wanted = wanted

    async def open(self) -> None:
        """An empty message on its first output channel tells the client that it is connected."""
        first = STDOUT if self._wanted.stdout else STDERR if self._wanted.stderr else STATUS
        await self.output(first, b"")

    async def listen(self, process: Process) -> None:
        sizes = Sizes()
        while (piece := await self._socket.receive()) is not None:
            try:
                for chunk in self._channels.feed(piece):
                    if chunk.channel == STDIN and self._wanted.stdin:
                        await self._input(process, chunk.data)
                    elif chunk.channel == SIZES and self._wanted.tty and chunk.data:
                        for columns, rows in sizes.feed(chunk.data):
                            await process.resize(columns, rows)
            except ProtocolError as error:
                await self._socket.close(PROTOCOL_ERROR, error.message)
                return

    async def _input(self, process: Process, data: bytes | None) -> None:
        if data is None:
            await process.close_stdin()
        else:
            await asking(process.write(data), self._socket.ping)

    async def output(self, stream: int, data: bytes) -> None:
        await self._socket.send(self._channels.message(stream, data), text=self._base64)

    async def finish(self, status: Raw) -> None:
        text = json.dumps(status, separators=(",", ":")) if self._structured else outcome.plain(status)
        if text:
            await self.output(STATUS, text.encode())
        await self._socket.part()


class StreamClient:
    """A stream for each of them, told apart by its header `streamType`."""

    def __init__(self, connection: Upgraded, protocol: str, wanted: Options, tasks: Tasks) -> None:
        self._session = spdy.Session(connection, self._accept)
        self._structured = protocol == "v4.channel.k8s.io"
        resizable = protocol in ("v4.channel.k8s.io", "v3.channel.k8s.io")
        self._missing = {"error"} | {n for n in ("stdin", "stdout", "stderr") if getattr(wanted, n)}
        if wanted.tty and resizable:
            self._missing.add("resize")
        self._streams: dict[str, spdy.Stream] = {}
        self._complete = asyncio.Event()
        self._ended = asyncio.Event()
        self._tasks = tasks

    async def open(self) -> None:
        """The client opens the streams that it has asked for."""
        self._tasks.start(self._serve())
        async with asyncio.timeout(PATIENCE):
            await self._complete.wait()
        if self._ended.is_set():
            raise ConnectionResetError("the client has gone")

    async def listen(self, process: Process) -> None:
        tasks = Tasks()
        try:
            if stdin := self._streams.get("stdin"):
                tasks.start(self._input(stdin, process))
            if resize := self._streams.get("resize"):
                tasks.start(self._resize(resize, process))
            await self._ended.wait()
        finally:
            await tasks.end()

    async def output(self, stream: int, data: bytes) -> None:
        await self._streams["stdout" if stream == STDOUT else "stderr"].write(data)

    async def finish(self, status: Raw) -> None:
        text = json.dumps(status, separators=(",", ":")) if self._structured else outcome.plain(status)
        for name in ("stdin", "resize"):
            if stream := self._streams.get(name):
                stream.discard()
        for name in ("stdout", "stderr"):
            if stream := self._streams.get(name):
                await stream.finish()
        error = self._streams["error"]
        await error.write(text.encode())
        await error.finish()
        await self._session.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), LINGER)

    async def _serve(self) -> None:
        try:
            await self._session.run()
        finally:
            self._ended.set()
            self._complete.set()

    def _accept(self, stream: spdy.Stream) -> None:
        kind = stream.headers.get("streamtype", "")
        if kind not in self._missing:
            raise ProtocolError(f'unexpected stream type: "{kind}"')
        self._missing.discard(kind)
        self._streams[kind] = stream
        if not self._missing:
            self._complete.set()

    async def _input(self, stream: spdy.Stream, process: Process) -> None:
        while data := await stream.read():
            await asking(process.write(data), self._session.ping)
        if not stream.broken:
            await process.close_stdin()

    async def _resize(self, stream: spdy.Stream, process: Process) -> None:
        sizes = Sizes()
        while data := await stream.read():
            for columns, rows in sizes.feed(data):
                await process.resize(columns, rows)
