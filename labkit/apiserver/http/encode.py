"""Answers as bytes on the wire. Source: RFC 9112; the headers that kube-apiserver sets."""

from __future__ import annotations

import functools
import time
from http import HTTPStatus

from labkit.apiserver.http.messages import Answer, Headers

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def answer(value: Answer, keep: bool) -> bytes:
    """The head of a whole answer, and its body."""
    headers: Headers = (("Content-Type", value.kind), ("Content-Length", str(len(value.body))), *value.headers)
    headers += tuple(map(warning, value.warnings))
    return head(value.status, headers, keep) + value.body


def warning(text: str) -> tuple[str, str]:
    """The header that tells it: RFC 7234, 5.5, which kube-apiserver goes on using."""
    return "Warning", f"299 - {quoted(text)}"


def chunked(kind: str, headers: Headers) -> bytes:
    """The head of a stream."""
    return head(200, (("Content-Type", kind), ("Transfer-Encoding", "chunked"), *headers), keep=True)


def switching(protocol: str, headers: Headers) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", f"Upgrade: {protocol}", "Connection: Upgrade"]
    return _lines([*lines, *(f"{name}: {value}" for name, value in headers)])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def head(status: int, headers: Headers, keep: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", "Cache-Control: no-cache, private", _date(int(time.time()))]
    if any(name == "Cache-Control" for name, _ in headers):
        del lines[1]
    lines += [f"{name}: {value}" for name, value in headers]
    if not keep:
        lines.append("Connection: close")
    return _lines(lines)


def quoted(text: str) -> str:
    """A quoted string of a header (RFC 9110, 5.6.4), without what could end the header."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _lines(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("utf-8")


@functools.lru_cache(maxsize=1)
def _date(second: int) -> str:
    return time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))


@functools.lru_cache(maxsize=64)
def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
