"""Connections over real sockets: keep-alive, pipelining, limits, streams, take-over, and clients that behave badly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from labkit.apiserver.api import refusal
from labkit.apiserver.http import connection
from labkit.apiserver.http.messages import Answer, Reply, Request, Sink, Stream, Upgrade, Upgraded
from labkit.apiserver.http.server import Server

Work = Callable[["Peer"], Awaitable[None]]


class Peer:
    """A client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Server) -> None:
        self.reader, self.writer, self.server = reader, writer, server

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body


def serve(handler: Callable[[Request], Any], work: Work) -> None:
    """Let a client do its work with a server that answers by `handler`."""

    async def both() -> None:
        server = Server(handler, refusal, None)
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server.listen(listening)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(20):
                await work(Peer(reader, writer, server))
        finally:
            writer.close()
            server.close()
            await asyncio.sleep(0)

    asyncio.run(both())


def echo(request: Request) -> Reply:
    return Answer(f"{request.method} {request.path} {request.first('q')} {request.body.decode()}".encode())


GET = b"GET /%b HTTP/1.1\r\nHost: lab\r\n\r\n"


def test_requests_of_one_connection_are_answered_in_their_order() -> None:
    async def slow(request: Request) -> Reply:
        await asyncio.sleep(0.01 if request.path == "/0" else 0)
        return echo(request)

    async def work(peer: Peer) -> None:
        await peer.send(b"".join(GET % str(n).encode() for n in range(50)))
        for number in range(50):
            assert (await peer.answer())[2] == f"GET /{number}  ".encode()

    serve(slow, work)
    serve(echo, work)


def test_a_body_and_a_query_reach_the_handler() -> None:
    async def work(peer: Peer) -> None:
        await peer.send(b"POST /a%20b?q=c%26d HTTP/1.1\r\nHost: lab\r\nContent-Length: 4\r\n\r\nbo")
        await peer.send(b"dy")
        assert (await peer.answer())[2] == b"POST /a b c&d body"
        await peer.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n")
        assert (await peer.answer())[2] == b"POST /  body"

    serve(echo, work)


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async def work(peer: Peer) -> None:
        await peer.send(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await peer.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await peer.send(b"ok")
        assert (await peer.answer())[0] == 200

    serve(echo, work)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * (connection.HEADER_LIMIT + 10) + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * (connection.HEADER_LIMIT + 10) + b" HTTP/1.1\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 3145729\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n310000\r\n" + b"x" * 0x310000 + b"\r\n0\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(sent: bytes, code: int) -> None:
    async def work(peer: Peer) -> None:
        await peer.send(sent)
        status, headers, body = await peer.answer()
        assert (status, headers["connection"]) == (code, "close")
        assert b'"kind":"Status"' in body
        assert await peer.reader.read() == b""

    serve(echo, work)


def test_a_body_of_the_limit_is_taken() -> None:
    async def work(peer: Peer) -> None:
        size = connection.BODY_LIMIT
        await peer.send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert (await peer.answer())[2] == str(size).encode()

    serve(lambda request: Answer(str(len(request.body)).encode()), work)


def test_a_connection_closes_where_the_client_says_so() -> None:
    async def work(peer: Peer) -> None:
        await peer.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + GET % b"never")
        assert (await peer.answer())[1]["connection"] == "close"
        assert await peer.reader.read() == b""

    serve(echo, work)


def test_a_fault_of_the_server_is_told_without_its_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: Request) -> Reply:
        raise ValueError("a secret")

    async def work(peer: Peer) -> None:
        await peer.send(GET % b"")
        status, _, body = await peer.answer()
        assert (status, b"secret" in body) == (500, False)
        await peer.send(GET % b"")
        assert (await peer.answer())[0] == 500, "the connection goes on"

    serve(broken, work)
    assert "a secret" in capsys.readouterr().err


def test_a_stream_comes_in_chunks_and_is_cancelled_with_its_client() -> None:
    ended = asyncio.Event

    async def work(peer: Peer) -> None:
        await peer.send(GET % b"")
        head = await peer.reader.readuntil(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert await peer.reader.readexactly(8) == b"3\r\none\r\n"
        peer.writer.close()
        await done.wait()

    async def run(sink: Sink) -> None:
        sink.write(b"one")
        try:
            await asyncio.Event().wait()
        finally:
            done.set()

    done = ended()
    serve(lambda _: Stream(run), work)


def test_a_stream_has_an_end_and_the_connection_goes_on() -> None:
    async def run(sink: Sink) -> None:
        sink.write(b"all")

    async def work(peer: Peer) -> None:
        for _ in range(2):
            await peer.send(GET % b"")
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await peer.reader.readexactly(13) == b"3\r\nall\r\n0\r\n\r\n"

    serve(lambda _: Stream(run), work)


def test_a_client_that_does_not_read_makes_the_stream_wait() -> None:
    written = 0
    full = asyncio.Event()

    async def run(sink: Sink) -> None:
        nonlocal written
        while True:
            sink.write(b"x" * 65536)
            written += 65536
            if sink.full:
                full.set()
                await sink.drain()

    async def work(peer: Peer) -> None:
        await peer.send(GET % b"")
        await full.wait()
        before = written
        for _ in range(20):
            await asyncio.sleep(0)
        assert written == before < 32 * 1024 * 1024
        (conn,) = peer.server.connections
        assert not conn.stuck(conn.moved), "it has just been doing something"
        assert conn.stuck(conn.moved + 1)

    serve(lambda _: Stream(run), work)


def test_half_a_request_does_not_hold_a_connection_for_ever() -> None:
    async def work(peer: Peer) -> None:
        await peer.send(b"GET / HT")
        while not peer.server.connections:
            await asyncio.sleep(0)
        (conn,) = peer.server.connections
        while not conn.stuck(conn.moved + 1):
            await asyncio.sleep(0)
        conn.abort()
        with suppress(ConnectionResetError):
            assert await peer.reader.read() == b""
        assert not peer.server.connections

    serve(echo, work)


def test_an_upgrade_hands_the_connection_over_with_what_was_sent() -> None:
    async def run(upgraded: Upgraded) -> None:
        while data := await upgraded.reader.read(100):
            upgraded.writer.write(data.upper())

    async def work(peer: Peer) -> None:
        head = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"
        await peer.send(head + b"early")
        answer = await peer.reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ") and b"Upgrade: shout" in answer
        assert await peer.reader.readexactly(5) == b"EARLY"
        await peer.send(b"late")
        assert await peer.reader.readexactly(4) == b"LATE"
        peer.writer.write_eof()
        assert await peer.reader.read() == b""

    def handler(request: Request) -> Reply:
        assert request.upgrade == "shout"
        return Upgrade("shout", run)

    serve(handler, work)


def test_a_refused_upgrade_ends_the_connection() -> None:
    async def work(peer: Peer) -> None:
        await peer.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nmore")
        assert (await peer.answer())[1]["connection"] == "close"
        assert await peer.reader.read() == b""

    serve(echo, work)


def test_a_header_cannot_be_smuggled_into_an_answer() -> None:
    async def work(peer: Peer) -> None:
        await peer.send(GET % b"")
        _, headers, _ = await peer.answer()
        assert headers["warning"] == '299 - "a  x: y \\"b\\""'
        assert "x" not in headers

    serve(lambda _: Answer(b"", warnings=('a\r\nx: y "b"',)), work)
