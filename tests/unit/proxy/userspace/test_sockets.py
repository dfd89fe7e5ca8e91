"""What goes through the proxy's sockets, on the loopback."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

import pytest

from labkit.linux.relayed import Relayed
from labkit.proxy.userspace.balancer import RoundRobin
from labkit.proxy.userspace.counters import Counters
from labkit.proxy.userspace.tcp import DIAL_SECONDS, TcpSocket
from labkit.proxy.userspace.udp import UdpSocket

HOST = "127.0.0.1"


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def listening() -> tuple[socket.socket, str]:
    sock = socket.create_server((HOST, 0))
    sock.setblocking(False)
    return sock, "{}:{}".format(*sock.getsockname())


def bound() -> tuple[socket.socket, str]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((HOST, 0))
    return sock, "{}:{}".format(*sock.getsockname())


def nobody() -> str:
    """An address at which nothing listens."""
    sock, address = listening()
    sock.close()
    return address


class Proxied:
    """A proxied port with these endpoints."""

    def __init__(self, endpoints: list[str], udp: bool = False, affinity: int = 0, **options: Any) -> None:
        self.balancer = RoundRobin("test")
        self.balancer.configure(endpoints, affinity)
        self.counters = Counters()
        self.relayed = Relayed[str]()
        sock, address = bound() if udp else listening()
        self.address = (HOST, int(address.rpartition(":")[2]))
        self.socket = (UdpSocket if udp else TcpSocket)(sock, self.balancer, self.counters, self.relayed, **options)

    async def close(self) -> None:
        await happens(lambda: self.socket.connections == 0)
        await self.socket.close()


@asynccontextmanager
async def echo(name: bytes) -> AsyncIterator[str]:
    """A server that says its name and then all that it hears."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError), closing(writer):
            writer.write(name)
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    sock, address = listening()
    async with await asyncio.start_server(answer, sock=sock):
        yield address


async def ask(address: tuple[str, int]) -> bytes:
    """The name of the server behind the address; empty where the connection is closed without a word."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        return await reader.read(100)
    finally:
        writer.close()
        await writer.wait_closed()


async def happens(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


@in_loop
async def test_connections_go_round() -> None:
    async with echo(b"one") as one, echo(b"two") as two:
        proxied = Proxied([one, two])
        answers = [await ask(proxied.address) for _ in range(4)]
        assert sorted(answers[:2]) == [b"one", b"two"]
        assert answers[2:] == answers[:2]
        assert (proxied.counters.accepted, proxied.counters.dialled, proxied.counters.failed) == (4, 4, 0)
        await proxied.close()


@in_loop
async def test_what_is_sent_comes_through_whole_and_in_both_directions() -> None:
    data = bytes(range(256)) * 8192
    async with echo(b"") as one:
        proxied = Proxied([one])
        reader, writer = await asyncio.open_connection(*proxied.address)
        sending = asyncio.ensure_future(_send(writer, data))
        assert await reader.readexactly(len(data)) == data
        await sending
        writer.close()
        await happens(lambda: proxied.counters.copied == 2 * len(data))
        await proxied.close()


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


@in_loop
async def test_a_dead_endpoint_is_passed_over() -> None:
    async with echo(b"alive") as alive:
        proxied = Proxied([nobody(), alive])
        assert {await ask(proxied.address) for _ in range(4)} == {b"alive"}
        assert proxied.counters.dialled in (7, 8), "every turn of the dead one is an attempt"
        await proxied.close()
        kept = Proxied([nobody(), alive], affinity=60)
        assert {await ask(kept.address) for _ in range(4)} == {b"alive"}
        assert kept.counters.dialled in (4, 5), "a client that is kept goes straight to what answered"
        await kept.close()


@in_loop
async def test_a_connection_is_closed_where_no_endpoint_answers_or_none_is_there() -> None:
    dead = Proxied([nobody()])
    assert await ask(dead.address) == b""
    assert (dead.counters.dialled, dead.counters.failed) == (len(DIAL_SECONDS), 1)
    empty = Proxied([])
    assert await ask(empty.address) == b""
    assert (empty.counters.dialled, empty.counters.failed) == (0, 1)
    for each in (dead, empty):
        await each.close()


@in_loop
async def test_an_endpoint_that_does_not_answer_holds_up_those_who_come_after() -> None:
    full = socket.create_server((HOST, 0), backlog=0)  # its queue is full after one connection: SYNs are dropped
    address = "{}:{}".format(*full.getsockname())
    with full, socket.create_connection(full.getsockname()):
        proxied = Proxied([address], dial_seconds=(0.05, 0.05))
        waiting = [asyncio.ensure_future(ask(proxied.address)) for _ in range(3)]
        await happens(lambda: proxied.counters.accepted == 1)
        assert not any(w.done() for w in waiting)
        assert await asyncio.gather(*waiting) == [b""] * 3
        assert (proxied.counters.accepted, proxied.counters.dialled, proxied.counters.failed) == (3, 6, 3)
        await proxied.close()


@in_loop
async def test_the_first_end_to_close_closes_both() -> None:
    sock, address = listening()
    with sock:
        proxied = Proxied([address])
        client = socket.create_connection(proxied.address)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        server, _ = await loop.sock_accept(sock)
        with client, server:
            client.shutdown(socket.SHUT_WR)  # what waits for an answer now does so for nothing
            assert await loop.sock_recv(server, 1) == b""
            assert await loop.sock_recv(client, 1) == b""
        await proxied.close()


@in_loop
async def test_connections_outlive_the_port() -> None:
    async with echo(b"") as one:
        proxied = Proxied([one])
        reader, writer = await asyncio.open_connection(*proxied.address)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        await proxied.socket.close()
        writer.write(b"after")
        assert await reader.readexactly(5) == b"after"
        with pytest.raises(ConnectionRefusedError):
            await ask(proxied.address)
        writer.close()
        await writer.wait_closed()
        await happens(lambda: proxied.socket.connections == 0)


@in_loop
async def test_datagrams_of_one_client_go_to_one_endpoint_until_it_is_silent() -> None:
    loop = asyncio.get_running_loop()
    servers = dict(address_and_socket() for _ in range(2))
    proxied = Proxied(list(servers), udp=True)
    client, _ = bound()
    with client:
        for _ in range(3):
            client.sendto(b"?", proxied.address)
        reached = await _heard(list(servers.values()))
        data, source = await loop.sock_recvfrom(reached, 10)
        assert (data, [await loop.sock_recv(reached, 10) for _ in range(2)]) == (b"?", [b"?", b"?"])
        await loop.sock_sendto(reached, b"!", source)
        assert await loop.sock_recvfrom(client, 10) == (b"!", proxied.address)
        assert (proxied.counters.accepted, proxied.counters.copied) == (1, 4)
        await happens(lambda: proxied.socket.connections == 0)
        client.sendto(b"again", proxied.address)
        (other,) = [s for s in servers.values() if s is not reached]
        assert await loop.sock_recv(other, 10) == b"again"
        await proxied.close()
    for each in servers.values():
        each.close()


def address_and_socket() -> tuple[str, socket.socket]:
    sock, address = bound()
    return address, sock


async def _heard(sockets: list[socket.socket]) -> socket.socket:
    """The first of them that has something to read."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[socket.socket] = loop.create_future()
    for sock in sockets:
        loop.add_reader(sock, lambda sock=sock: found.done() or found.set_result(sock))
    try:
        return await asyncio.wait_for(found, 5)
    finally:
        for sock in sockets:
            loop.remove_reader(sock)


@in_loop
async def test_datagrams_to_nobody_are_lost_and_do_no_harm() -> None:
    alive, address = bound()
    gone = nobody()
    proxied = Proxied([address, gone], udp=True)
    clients = [bound()[0] for _ in range(4)]
    for client in clients:
        client.sendto(b"?", proxied.address)
    loop = asyncio.get_running_loop()
    assert [await loop.sock_recv(alive, 10) for _ in range(2)] == [b"?", b"?"]
    await happens(lambda: proxied.counters.accepted == 4)
    proxied.balancer.configure([], 0)
    with bound()[0] as late:
        late.sendto(b"?", proxied.address)
        await happens(lambda: proxied.counters.failed == 1)
    await proxied.close()
    for each in (alive, *clients):
        each.close()
