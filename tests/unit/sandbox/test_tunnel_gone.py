"""Connections through the channel whose client goes without a word: the server hears of it at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from labkit.sandbox.channel import Peer
from labkit.sandbox.tunnel import Tunnels

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def through(serve: Server, work: Callable[[int], Awaitable[None]]) -> None:
    """Do the work with a port of the loopback that leads through two tunnels to `serve`."""

    async def take(sock: socket.socket) -> None:
        await serve(*await asyncio.open_connection(sock=sock))

    async def both() -> None:
        left, right = socket.socketpair()
        outside, inside = Tunnels(), Tunnels(take)
        outside.peer = await Peer.over(left, outside.handlers())
        inside.peer = await Peer.over(right, inside.handlers())
        listener = socket.create_server(("127.0.0.1", 0))
        outside.listen(listener)
        try:
            async with asyncio.timeout(20):
                await work(listener.getsockname()[1])
        finally:
            for tunnels in (outside, inside):
                await tunnels.close()
                assert tunnels.peer
                tunnels.peer.close()

    asyncio.run(both())


@pytest.mark.parametrize("reads", [True, False], ids=["reading", "not reading"])
def test_a_client_that_is_gone_is_heard_of_although_much_is_under_way(reads: bool) -> None:
    over = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"are you there?")
                await writer.drain()
                await (reader.read(65536) if reads else asyncio.sleep(0.01))
        except OSError:
            over.set()
        finally:
            writer.close()

    async def work(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await reader.read(10)
        writer.write(bytes(5_000_000))
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await over.wait()

    through(talk, work)
