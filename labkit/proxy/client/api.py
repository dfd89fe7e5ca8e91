"""Requests to the API server: one answer, or the lines of a watch."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_address
from typing import Any

import httptools
import msgspec

from labkit.errors import LabError
from labkit.linux import httpclient
from labkit.linux.httpclient import Plain, Stream, Tls
from labkit.proxy.client.kubeconfig import Access

Raw = dict[str, Any]
LIMIT = 1 << 30
HERE = "/proc/self/ns/net"


class Refused(LabError):
    """The API server answered otherwise than asked. `details["code"]`: the HTTP status."""


class Api:
    """Talks to the server that `access` leads to; `count` is told of each answer: status, method, host."""

    def __init__(self, access: Access, count: Callable[[int, str, str], None], agent: str) -> None:
        self._access = access
        self._count = count
        self._agent = agent
        self._host = f"{access.host}:{access.port}"

    async def get(self, target: str) -> Raw:
        """Raises `Refused`, `OSError`, `ValueError`."""
        return await self._ask("GET", target, b"")

    async def create(self, target: str, raw: Raw) -> Raw:
        """Raises as `get` does."""
        return await self._ask("POST", target, msgspec.json.encode(raw))

    async def watch(self, target: str) -> AsyncIterator[Raw]:
        """The events of a watch until the server ends it. Raises as `get` does."""
        async with _Connection(self._access) as stream:
            await stream.send(self._request("GET", target, b"", keep=True))
            answer = _Answer()
            while not answer.done:
                data = await stream.receive()
                answer.feed(data)
                if answer.status and not answer.counted:
                    answer.counted = True
                    self._count(answer.status, "GET", self._host)
                if answer.status >= 400:
                    if answer.done or not data:
                        raise _refused(answer.status, bytes(answer.body))
                    continue
                for line in answer.lines():
                    yield msgspec.json.decode(line)
                if not data:
                    return

    async def _ask(self, method: str, target: str, body: bytes) -> Raw:
        async with _Connection(self._access) as stream:
            reply = await httpclient.exchange(stream, self._request(method, target, body, keep=False), LIMIT)
        self._count(reply.status, method, self._host)
        if reply.status >= 300:
            raise _refused(reply.status, reply.body)
        found: Raw = msgspec.json.decode(reply.body)
        return found

    def _request(self, method: str, target: str, body: bytes, keep: bool) -> bytes:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if body:
            headers["Content-Type"] = "application/json"
        if token := self._access.bearer():
            headers["Authorization"] = f"Bearer {token}"
        return httpclient.encode(method, self._host, target, headers, body, keep)


class _Connection:
    """A connection to the server for one request."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._socket: socket.socket | None = None

    async def __aenter__(self) -> Stream:
        host, port = self._access.host, self._access.port
        self._socket = await httpclient.connect(HERE, await _address(host, port), port)
        try:
            plain = Plain(self._socket)
            if self._access.tls is None:
                return plain
            tls = Tls(plain, self._access.tls, host)
            await tls.handshake()
        except BaseException:
            self._socket.close()
            raise
        return tls

    async def __aexit__(self, *_: object) -> None:
        if self._socket:
            self._socket.close()


class _Answer:
    """An answer whose body comes line by line; httptools calls the `on_…` methods."""

    def __init__(self) -> None:
        self.status = 0
        self.body = bytearray()
        self.done = self.counted = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data) if data else None
        except httptools.HttpParserError as error:
            raise ValueError(f"the answer is not HTTP: {error}") from None

    def lines(self) -> list[bytes]:
        """The whole lines that have come, and that nobody has seen."""
        *whole, rest = bytes(self.body).split(b"\n")
        self.body = bytearray(rest)
        return [line for line in whole if line.strip()]

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.done = True


async def _address(host: str, port: int) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return str(found[0][4][0])


def _refused(status: int, body: bytes) -> Refused:
    try:
        said = msgspec.json.decode(body, type=dict[str, Any]).get("message", "")
    except msgspec.MsgspecError:
        said = ""
    return Refused(str(said or f"the server answered {status}"), code=status)
