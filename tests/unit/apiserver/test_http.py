"""Connections over real sockets: keep-alive, pipelining, limits, and clients that behave badly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from labkit.apiserver.http import connection
from labkit.apiserver.http.messages import Answer, Reply, Request


def echo(request: Request) -> Reply:
    return Answer(f"{request.method} {request.path} {request.first('q')} {request.body.decode()}".encode())


GET = b"GET /%b HTTP/1.1\r\nHost: lab\r\n\r\n"


def test_requests_of_one_connection_are_answered_in_their_order(serve: Any) -> None:
    async def slow(request: Request) -> Reply:
        await asyncio.sleep(0.01 if request.path == "/0" else 0)
        return echo(request)

    async def work(peer: Any) -> None:
        await peer.send(b"".join(GET % str(n).encode() for n in range(50)))
        for number in range(50):
            assert (await peer.answer())[2] == f"GET /{number}  ".encode()

    serve(slow, work)
    serve(echo, work)


def test_a_body_and_a_query_reach_the_handler(serve: Any) -> None:
    async def work(peer: Any) -> None:
        await peer.send(b"POST /a%20b?q=c%26d HTTP/1.1\r\nHost: lab\r\nContent-Length: 4\r\n\r\nbo")
        await peer.send(b"dy")
        assert (await peer.answer())[2] == b"POST /a b c&d body"
        await peer.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n")
        assert (await peer.answer())[2] == b"POST /  body"

    serve(echo, work)


def test_a_client_that_asks_first_is_told_to_go_on(serve: Any) -> None:
    async def work(peer: Any) -> None:
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
def test_what_is_no_request_is_refused_and_the_connection_ends(serve: Any, sent: bytes, code: int) -> None:
    async def work(peer: Any) -> None:
        await peer.send(sent)
        status, headers, body = await peer.answer()
        assert (status, headers["connection"]) == (code, "close")
        assert b'"kind":"Status"' in body
        assert await peer.reader.read() == b""

    serve(echo, work)


def test_a_body_of_the_limit_is_taken(serve: Any) -> None:
    async def work(peer: Any) -> None:
        size = connection.BODY_LIMIT
        await peer.send(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert (await peer.answer())[2] == str(size).encode()

    serve(lambda request: Answer(str(len(request.body)).encode()), work)


def test_a_connection_closes_where_the_client_says_so(serve: Any) -> None:
    async def work(peer: Any) -> None:
        await peer.send(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n" + GET % b"never")
        assert (await peer.answer())[1]["connection"] == "close"
        assert await peer.reader.read() == b""

    serve(echo, work)


def test_a_fault_of_the_server_is_told_without_its_secrets(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: Request) -> Reply:
        raise ValueError("a secret")

    async def work(peer: Any) -> None:
        await peer.send(GET % b"")
        status, _, body = await peer.answer()
        assert (status, b"secret" in body) == (500, False)
        await peer.send(GET % b"")
        assert (await peer.answer())[0] == 500, "the connection goes on"

    serve(broken, work)
    assert "a secret" in capsys.readouterr().err
