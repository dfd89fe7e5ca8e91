"""Connections over real sockets: streams, take-over, and what is left of a connection that has gone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

import pytest

from labkit.apiserver.http.messages import Answer, Reply, Request, Sink, Stream, Upgrade, Upgraded


def echo(request: Request) -> Reply:
    return Answer(f"{request.method} {request.path} {request.first('q')} {request.body.decode()}".encode())


GET = b"GET /%b HTTP/1.1\r\nHost: lab\r\n\r\n"


def test_a_stream_comes_in_chunks_and_is_cancelled_with_its_client(serve: Any) -> None:
    ended = asyncio.Event

    async def work(peer: Any) -> None:
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


def test_a_stream_has_an_end_and_the_connection_goes_on(serve: Any) -> None:
    async def run(sink: Sink) -> None:
        sink.write(b"all")

    async def work(peer: Any) -> None:
        for _ in range(2):
            await peer.send(GET % b"")
            await peer.reader.readuntil(b"\r\n\r\n")
            assert await peer.reader.readexactly(13) == b"3\r\nall\r\n0\r\n\r\n"

    serve(lambda _: Stream(run), work)


def test_a_client_that_does_not_read_makes_the_stream_wait(serve: Any) -> None:
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

    async def work(peer: Any) -> None:
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


def test_half_a_request_does_not_hold_a_connection_for_ever(serve: Any) -> None:
    async def work(peer: Any) -> None:
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


def test_an_upgrade_hands_the_connection_over_with_what_was_sent(serve: Any) -> None:
    async def run(upgraded: Upgraded) -> None:
        while data := await upgraded.reader.read(100):
            upgraded.writer.write(data.upper())

    async def work(peer: Any) -> None:
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


def test_a_refused_upgrade_ends_the_connection(serve: Any) -> None:
    async def work(peer: Any) -> None:
        await peer.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nmore")
        assert (await peer.answer())[1]["connection"] == "close"
        assert await peer.reader.read() == b""

    serve(echo, work)


def test_a_header_cannot_be_smuggled_into_an_answer(serve: Any) -> None:
    async def work(peer: Any) -> None:
        await peer.send(GET % b"")
        _, headers, _ = await peer.answer()
        assert headers["warning"] == '299 - "a  x: y \\"b\\""'
        assert "x" not in headers

    serve(lambda _: Answer(b"", warnings=('a\r\nx: y "b"',)), work)


@pytest.mark.parametrize("path", [b"answer", b"stream", b"upgrade"])
def test_of_a_connection_that_has_gone_nothing_waits_for_a_collection(serve: Any, path: bytes) -> None:
    """TLS has buffers of half a megabyte for each."""

    async def stream(sink: Sink) -> None:
        sink.write(b"x")
        await asyncio.Event().wait()

    async def shout(upgraded: Upgraded) -> None:
        await upgraded.reader.read()

    def handler(request: Request) -> Reply:
        if request.path == "/upgrade":
            return Upgrade("shout", shout)
        return Stream(stream) if request.path == "/stream" else Answer(b"x")

    async def work(peer: Any) -> None:
        more = b"Connection: Upgrade\r\nUpgrade: shout\r\n" if path == b"upgrade" else b""
        await peer.send(b"GET /%b HTTP/1.1\r\nHost: lab\r\n%b\r\n" % (path, more))
        await peer.reader.readuntil(b"\r\n\r\n")
        [gone] = [weakref.ref(each) for each in peer.server.connections]
        peer.writer.close()
        while gone() is not None:
            await asyncio.sleep(0.001)

    gc.disable()
    try:
        serve(handler, work)
    finally:
        gc.enable()
