"""Connections over a channel: bytes arrive whole and in order, ends are told, and nobody waits for a slow one."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from labkit.sandbox.channel import Peer
from labkit.sandbox.tunnel import WINDOW, Tunnels

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Client]]


def tunnelled(serve: Callable[[Client], Awaitable[None]], work: Callable[[Connect, Tunnels], Awaitable[None]]) -> None:
    """A server behind a channel, and a client before it."""

    async def both() -> None:
        tasks: list[asyncio.Task[None]] = []

        async def take(sock: socket.socket) -> None:
            sock.setblocking(False)
            tasks.append(asyncio.create_task(served(await asyncio.open_connection(sock=sock))))

        async def served(client: Client) -> None:
            try:
                await serve(client)
            finally:
                client[1].transport.abort()

        here, there = Tunnels(), Tunnels(take)
        left, right = socket.socketpair()
        here.peer = await Peer.over(left, here.handlers())
        there.peer = await Peer.over(right, there.handlers())
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        here.listen(listener)
        async with asyncio.timeout(20):
            await work(lambda: asyncio.open_connection("127.0.0.1", port), here)
        await here.close()
        await there.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        here.peer.close()
        there.peer.close()
        await asyncio.gather(here.peer.closed(), there.peer.closed())

    asyncio.run(both())


async def echo(client: Client) -> None:
    reader, writer = client
    while data := await reader.read(100_000):
        writer.write(data)
        await writer.drain()
    writer.close()


async def gone(tunnels: Tunnels) -> None:
    while tunnels._streams:
        await asyncio.sleep(0)


def test_what_is_sent_comes_back_whole() -> None:
    sent = bytes(range(256)) * (4 * WINDOW // 256)

    async def one(connect: Connect) -> None:
        reader, writer = await connect()
        reading = asyncio.create_task(reader.readexactly(len(sent)))
        writer.write(sent)
        assert await reading == sent
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    async def work(connect: Connect, here: Tunnels) -> None:
        await asyncio.gather(*(one(connect) for _ in range(4)))
        await gone(here)

    tunnelled(echo, work)


def test_a_client_that_does_not_read_holds_up_nobody() -> None:
    written = 0

    async def flood(client: Client) -> None:
        nonlocal written
        reader, writer = client
        if await reader.readexactly(1) == b"?":
            writer.write(b"!")
            return
        while True:
            writer.write(b"x" * 65536)
            written += 65536
            await writer.drain()

    async def work(connect: Connect, here: Tunnels) -> None:
        _, stuck = await connect()
        stuck.write(b"-")
        await stuck.drain()
        before = -1
        while before != written:  # until it cannot write any more
            before = written
            await asyncio.sleep(0.05)
        reader, writer = await connect()
        writer.write(b"?")
        assert await reader.readexactly(1) == b"!"
        writer.close()
        stuck.transport.abort()
        await gone(here)

    tunnelled(flood, work)
    assert written < 64 * WINDOW


def test_the_end_of_the_server_is_the_clients_end() -> None:
    async def refuse(client: Client) -> None:
        client[1].close()

    async def work(connect: Connect, here: Tunnels) -> None:
        reader, writer = await connect()
        assert await reader.read() == b""
        writer.close()
        await gone(here)

    tunnelled(refuse, work)


def test_closing_ends_what_is_open() -> None:
    async def work(connect: Connect, here: Tunnels) -> None:
        reader, writer = await connect()
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        await here.close()
        assert await reader.read() == b""
        writer.close()

    tunnelled(echo, work)


def test_bytes_for_a_stream_that_has_gone_are_acknowledged() -> None:
    told: list[tuple[str, dict[str, Any]]] = []

    class Recorder:
        def notify(self, event: str, **params: Any) -> None:
            told.append((event, params))

    tunnels = Tunnels()
    tunnels.peer = Recorder()  # type: ignore[assignment]
    tunnels.handlers()["tunnel_data"](number=7, data=b"late")
    assert told == [("tunnel_taken", {"number": 7, "count": 4})]
