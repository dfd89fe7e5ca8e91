"""Streams from control into a pod and back, without the API: commands, terminals, connections; none is left."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from inside import in_sandbox
from pods import node_with_pods
from running import nothing_in, running_in

from labkit.cluster.streams import WINDOW, Remote, Streams
from labkit.errors import CommandError
from labkit.linux import netns
from labkit.net.place import Place
from labkit.sandbox.channel import Peer
from labkit.workloads.role import Workload

POD: dict[str, Any] = {
    "metadata": {"name": "pod-0", "namespace": "shop", "uid": "u0"},
    "spec": {"nodeName": "node", "containers": [{"name": "web", "image": "web", "ports": [{"containerPort": 8080}]}]},
}
FACTS = {"address": "10.244.1.2", "host": "172.18.1.11", "allocatable": {"cpu": "2", "memory": "4Gi"}}


class Bed:
    """A pod's place, and both ends of the channel."""

    def __init__(self, place: Place, streams: Streams) -> None:
        self.place = place
        self.streams = streams

    async def exec(self, *command: str, **options: bool) -> Remote:
        return await self.streams.exec(self.place, POD["metadata"]["uid"], "web", command, **options)


@asynccontextmanager
async def bed() -> AsyncIterator[Bed]:
    _, (place,) = node_with_pods(1)
    ours, theirs = socket.socketpair()
    control: list[Peer] = []
    streams = Streams(lambda: control[0])

    async def ask(method: str, **params: Any) -> Any:
        raise AssertionError(method)

    handlers: dict[str, Any] = {}
    workload_end = await Peer.over(theirs, handlers)
    workload = Workload(lambda event, params: workload_end.notify(event, **params), ask)
    names = ("open_command", "open_connection", "open_attachment", "stream", "end_stream")
    handlers.update({name: getattr(workload, name) for name in names})
    control.append(await Peer.over(ours, {"stream": streams.heard, "report": lambda **_: None}))
    await workload.start_pod(msgspec.to_builtins(place), POD, FACTS)
    async with asyncio.timeout(30):
        yield Bed(place, streams)
    await nothing_in(place)
    await workload.stop_pod(POD["metadata"]["uid"], 0)
    control[0].close()
    workload_end.close()


async def everything(process: Remote) -> dict[int, bytes]:
    found = {1: b"", 2: b""}
    while (written := await process.read()) is not None:
        found[written[0]] += written[1]
    return found


@in_sandbox
async def test_a_command_its_streams_and_its_code() -> None:
    async with bed() as b:
        async with await b.exec("sh", "-c", "read x; echo got $x; echo bad >&2; exit 9", stdin=True) as process:
            await process.write(b"it\n")
            assert await everything(process) == {1: b"got it\n", 2: b"bad\n"}
            assert await process.wait() == 9
        async with await b.exec("sh", "-c", "kill -15 $$") as process:
            assert await process.wait() == 143
        async with await b.exec("cat", stdin=True) as process:
            data = os.urandom(3_000_000)
            writing = asyncio.create_task(process.write(data))
            writing.add_done_callback(lambda _: asyncio.ensure_future(process.close_stdin()))
            assert (await everything(process))[1] == data
            assert await process.wait() == 0


@in_sandbox
async def test_what_cannot_be_started_is_said_as_runc_says_it() -> None:
    begin = "OCI runtime exec failed: exec failed: unable to start container process: "
    cases = {
        "no-such-program": 'exec: "no-such-program": executable file not found in $PATH: unknown',
        "/no/such": 'exec: "/no/such": stat /no/such: no such file or directory: unknown',
        "/etc/hostname": 'exec: "/etc/hostname": permission denied: unknown',
        "/etc": 'exec: "/etc": is a directory: unknown',
        "": 'exec: "": executable file not found in $PATH: unknown',
    }
    async with bed() as b:
        for name, told in cases.items():
            for tty in (False, True):
                try:
                    await b.exec(name, tty=tty)
                except CommandError as error:
                    assert error.message == begin + told, error.message
                else:
                    raise AssertionError(name)
        try:
            await b.exec("echo", "a\0b")
        except CommandError as error:
            assert "embedded null byte" in error.message
        else:
            raise AssertionError("a NUL")


@in_sandbox
async def test_nobody_reads_and_nobody_takes_yet_memory_is_bounded() -> None:
    async with bed() as b:
        async with await b.exec("yes", stdin=True) as process:
            held, before = 0, -1
            while held != before:
                before = held
                await asyncio.sleep(0.2)
                held = sum(len(data) for _, data in process._output)
            assert WINDOW <= held <= 2 * WINDOW
            writing = asyncio.create_task(process.write(bytes(4 * WINDOW)))
            await asyncio.sleep(0.2)
            assert not writing.done() and process._untaken <= WINDOW
            writing.cancel()
        await nothing_in(b.place)


@in_sandbox
async def test_a_terminal_has_a_size_an_end_of_input_and_a_controlling_process() -> None:
    async with bed() as b:
        async with await b.exec("sh", "-c", "cat; echo at $(ps -o tty= -p $$)", stdin=True, tty=True) as process:
            await process.resize(101, 42)
            await process.write(b"line\n")
            await process.close_stdin()
            text = (await everything(process))[1]
            assert text.startswith(b"line\r\nline\r\n") and b"at pts/" in text, text
            assert await process.wait() == 0
        async with await b.exec("sh", stdin=True, tty=True) as process:
            await process.resize(101, 42)
            await process.write(b"stty size; exit 6\n")
            assert b"42 101\r\n" in (await everything(process))[1]
            assert await process.wait() == 6


@in_sandbox
async def test_who_goes_takes_everything_along_and_who_ends_leaves_the_daemons() -> None:
    async with bed() as b:
        script = "sleep 8001 & setsid sleep 8002 & (trap '' HUP TERM; sleep 8003) & wait"
        async with await b.exec("sh", "-c", script, tty=True):
            while not {"sleep 8001", "sleep 8002", "sleep 8003"} <= set(running_in(b.place)):
                await asyncio.sleep(0.01)
        await nothing_in(b.place)
        async with await b.exec("sh", "-c", "sleep 8004 > /dev/null 2>&1 & echo $!") as process:
            pid = (await everything(process))[1].decode().strip()
            assert await process.wait() == 0
        while running_in(b.place) != ["sleep 8004"]:  # before it is that, it is a copy of the shell
            await asyncio.sleep(0.01)
        async with await b.exec("kill", pid) as process:
            assert await process.wait() == 0


@in_sandbox
async def test_a_start_that_is_given_up_leaves_nothing() -> None:
    async with bed() as b:
        for turns in range(12):
            starting = asyncio.create_task(b.exec("sleep", "8005", tty=bool(turns % 2)))
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            if turns > 6:
                await asyncio.sleep(0.002 * turns)
            starting.cancel()
            try:
                process = await starting
            except asyncio.CancelledError:
                continue
            await process.close()
        await nothing_in(b.place)


@in_sandbox
async def test_a_connection_half_closed_and_one_refused() -> None:
    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(-1)).upper())
        await writer.drain()
        writer.close()

    async with bed() as b:
        listener = netns.socket_in(b.place.netns, socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 80))
        server = await asyncio.start_server(upper, sock=listener)
        connections = await asyncio.gather(*(b.streams.dial(b.place, 80) for _ in range(5)))
        data = b"x" * 1_000_000
        for connection in connections:
            writing = asyncio.create_task(connection.write(data))
            await writing
            await connection.close_write()
        for connection in connections:
            received = b""
            while piece := await connection.read():
                received += piece
            assert received == data.upper()
            await connection.close()
        server.close()
        try:
            await b.streams.dial(b.place, 81)
        except CommandError as error:
            assert "IPv4: dial tcp4 127.0.0.1:81: connect: connection refused IPv6 dial tcp6" in error.message
        else:
            raise AssertionError("it connected")
