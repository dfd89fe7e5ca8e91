"""netexec's answers to the letter, without a socket."""

from typing import Any

import pytest

from labkit.net.place import Place
from labkit.workloads.httpmessages import Request, Response, encode
from labkit.workloads.images import Serve
from labkit.workloads.netexec import Netexec

POD = Place("shop/web-1", "pod", "/nowhere", "web-1")


class Server:
    def __init__(self, serve: Serve | None = None) -> None:
        self.log = bytearray()
        self.exits: list[int] = []
        self.netexec = Netexec(POD, serve or Serve((80,)), self.log.extend, self.exits.append)

    def get(self, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        answer = self.netexec.request(Request(method, target, named, body, "10.0.0.1:5", 80))
        assert isinstance(answer, Response)
        return answer


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/hostname", 200, "web-1"),
        ("/hostName", 200, "web-1"),
        ("http://web.shop/hostname", 200, "web-1"),
        ("/clientip", 200, "10.0.0.1:5"),
        ("/echo?msg=a+b%26", 200, "a b&"),
        ("/echo", 200, ""),
        ("/echo?msg=x&code=503", 503, "x"),
        ("/echo?msg=1&msg=2", 200, "1"),
        ("/echo?code=x", 200, "argument 'code' must be an integer or empty, got \"x\"\n"),
        ("/exit?code=x", 200, "argument 'code' must be an integer [0-127] or empty, got \"x\"\n"),
        ("/exit?wait=5", 200, "argument 'wait' must be a valid golang duration or empty, got \"5\"\n"),
        ("/exit?timeout=x", 200, "argument 'timeout' must be a valid golang duration or empty, got \"x\"\n"),
        ("/header?key=x-a", 200, "b"),
        ("/header?key=missing", 200, ""),
        ("/header", 200, '{"X-A":["b","\\u003c"]}'),
        ("/healthz", 200, ""),
        ("/readyz", 200, "ok"),
        ("/redirect?location=/echo%3Fmsg=x", 302, '<a href="/echo?msg=x">Found</a>.\n\n'),
        ("/redirect?location=x&code=301", 301, '<a href="/x">Moved Permanently</a>.\n\n'),
    ],
)
def test_answers(target: str, status: int, body: str) -> None:
    server = Server()
    answer = server.netexec.request(
        Request("GET", target, [("Host", "web"), ("x-a", "b"), ("X-A", "<")], b"", "10.0.0.1:5", 80)
    )
    assert isinstance(answer, Response)
    assert (answer.status, answer.body.decode()) == (status, body)
    assert server.exits == []


def test_redirects_carry_a_location() -> None:
    assert Server().get("/redirect?location=http://other/")[3] == (("Location", "http://other/"),)


def test_a_form_comes_before_the_query() -> None:
    answer = Server().get(
        "/echo?msg=query&code=201", "POST", b"msg=form", Content_Type="application/x-www-form-urlencoded"
    )
    assert (answer.status, answer.body) == (201, b"form")


def test_the_root_answers_for_whatever_is_not_known() -> None:
    for target in ("/", "/cart", "/hostname/x"):
        assert Server().get(target).body.startswith(b"NOW: 2")


def test_override_and_text() -> None:
    assert Server(Serve((80,), override="/echo?msg=always&code=202")).get("/hostname")[:2] == (b"always", 202)
    assert Server(Serve((80,), text="apple\n")).get("/anything").body == b"apple\n"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"hostname", b"web-1"),
        (b" HostName\n", b"web-1"),
        (b"clientip", b"10.0.0.1:5"),
        (b"echo Hello You", b"hello you"),
        (b"echo", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_datagrams(data: bytes, answer: bytes | None) -> None:
    assert Server().netexec.datagram(data, "10.0.0.1:5") == answer


def test_the_log_reads_as_agnhosts() -> None:
    server = Server()
    server.get("/echo?msg=x")
    date, _, line = server.log.decode().partition(" GET ")
    assert line == "/echo?msg=x\n" and len(date) == len("2024/01/02 15:04:05")


@pytest.mark.parametrize(
    ("response", "keep", "head", "expected"),
    [
        (Response(b"hi"), True, False, ["HTTP/1.1 200 OK", "Content-Length: 2", "hi"]),
        (Response(b"hi"), False, True, ["HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", ""]),
        (Response(b"hi", 204), True, False, ["HTTP/1.1 204 No Content", ""]),
        (Response(b"hi", 599), True, False, ["HTTP/1.1 599 status code 599", "hi"]),
    ],
)
def test_encoding(response: Response, keep: bool, head: bool, expected: list[str]) -> None:
    top, _, body = encode(response, keep, head).decode().partition("\r\n\r\n")
    lines: list[Any] = top.split("\r\n")
    assert lines[0] == expected[0] and body == expected[-1]
    assert all(line in lines for line in expected[:-1])
    assert ("Connection: close" in lines) is not keep
