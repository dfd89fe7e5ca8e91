"""Requests on the wire, and responses however they arrive."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.linux.httpclient import Reply, encode, exchange

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
COUNTED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nabcde"
ENDLESS = b"HTTP/1.0 200 OK\r\n\r\nabcde"


class Pieces:
    def __init__(self, *pieces: bytes) -> None:
        self.sent = b""
        self._pieces = list(pieces)

    async def send(self, data: bytes) -> None:
        self.sent += data

    async def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def ask(*pieces: bytes, method: bytes = b"GET", limit: int = 4096) -> Reply:
    return asyncio.run(exchange(Pieces(*pieces), method + b" / HTTP/1.1\r\n\r\n", limit))


@given(st.sampled_from([CHUNKED, COUNTED, ENDLESS]), st.lists(st.integers(1, 60), max_size=5))
def test_a_response_in_any_pieces(wire: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(wire)]
    reply = ask(*(wire[a:b] for a, b in itertools.pairwise(bounds) if wire[a:b]))
    assert reply.body == b"abcde"
    assert reply.status in (200, 404)


def test_keep_alive_and_headers() -> None:
    assert ask(CHUNKED).keep and ("X-A", "b") in ask(CHUNKED).headers
    assert not ask(ENDLESS).keep


def test_a_body_is_bounded() -> None:
    assert ask(COUNTED, limit=3).body == b"abc"


def test_head_has_no_body() -> None:
    assert ask(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method=b"HEAD").body == b""


def test_continue_comes_before_the_answer() -> None:
    assert ask(b"HTTP/1.1 100 Continue\r\n\r\n" + COUNTED).status == 404


@pytest.mark.parametrize(
    ("pieces", "words"),
    [((), "without an answer"), ((COUNTED[:-1],), "in the middle"), ((b"HTTP/1.1 2",), "without an answer")],
)
def test_a_server_that_closes_early(pieces: tuple[bytes, ...], words: str) -> None:
    with pytest.raises(ConnectionError, match=words):
        ask(*pieces)


def test_what_is_not_http() -> None:
    with pytest.raises(ValueError, match="not HTTP"):
        ask(b"220 mail.example ESMTP\r\n")


def test_requests() -> None:
    wire = encode("POST", "web", "/x?y", {"host": "other", "X-A": "b"}, b"body", keep=False)
    top, _, body = wire.partition(b"\r\n\r\n")
    lines = top.decode().split("\r\n")
    assert lines[0] == "POST /x?y HTTP/1.1" and body == b"body"
    assert "host: other" in lines and not any(line.startswith("Host:") for line in lines)
    assert "Content-Length: 4" in lines and "Connection: close" in lines
    assert b"Connection" not in encode("GET", "web", "/", {}, b"", keep=True)
