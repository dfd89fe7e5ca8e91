"""A whole control plane behind its real HTTP server, without a cluster: requests are bytes, and so are answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from labkit.apiserver import subresources
from labkit.apiserver.access import escalation
from labkit.apiserver.access.access import Access
from labkit.apiserver.access.rbac import Authorizer
from labkit.apiserver.access.tokens import Tokens
from labkit.apiserver.api import Api, refusal
from labkit.apiserver.call import Plane as Served
from labkit.apiserver.documents import Documents
from labkit.apiserver.duties import Duties, LogOptions
from labkit.apiserver.feed import Feed
from labkit.apiserver.http.messages import Certified
from labkit.apiserver.http.server import Server
from labkit.apiserver.openapi.documents import OpenApi
from labkit.apiserver.verbs import metrics
from labkit.cluster.nodes import registered
from labkit.cluster.plane import Plane
from labkit.cluster.work import Work
from labkit.control.reconcile import Failure
from labkit.errors import ApiError
from labkit.net.topology import plan
from labkit.workloads.disruption.eviction import evict
from labkit.workloads.nodes.pace import Pace

Raw = dict[str, Any]
ADMIN = Certified("kubernetes-admin", ("system:masters",))
PATIENCE = 5  # seconds: an answer that takes longer hangs


@dataclass(frozen=True)
class Got:
    """An answer: its code, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Bed:
    """One server with two nodes, asked by its administrator. `faults`: what controllers failed at, refusals apart;
    `usage`: what pods take, by uid."""

    def __enter__(self) -> Bed:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._build())
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self._take_down())
        self.loop.close()

    async def _build(self) -> None:
        self.faults: list[Failure] = []
        self.usage: dict[str, dict[str, tuple[int, int]]] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("labkit.cluster.plane._failed", self._failed)
            self.plane = Plane(0, Work(print), Pace(1))
        store, admission = self.plane.store, self.plane.admission
        for machine in plan(2, ["a"]).machines:
            store.create(registered(machine, 0, store.now()))
        await self.plane.reconciled()
        self.tokens = Tokens(store)
        access = Access(Authorizer(store), self.tokens)
        served = Served(store, admission, Feed(store), partial(escalation.check, access))
        documents = Documents(store.catalogue, "10.0.0.1:6443", OpenApi(store.catalogue, admission.custom.schema))
        kinds = {"nodes": metrics.nodes, "pods": metrics.pods}
        more = {f"{name}.metrics.k8s.io": partial(verb, measure=self._measure) for name, verb in kinds.items()}
        duties = Duties(_log, partial(evict, store), more)
        api = Api(served, access, documents, subresources.handlers(access, duties))
        self.server = Server(lambda request: api.handle(replace(request, certified=ADMIN)), refusal, None)
        self._clients: list[Client] = []
        self._client = await self.connect()

    async def _measure(self) -> dict[str, dict[str, tuple[int, int]]]:
        return self.usage

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.error, ApiError):
            self.faults.append(failure)

    async def _take_down(self) -> None:
        self.server.close()
        for client in self._clients:
            client.close()
            with suppress(OSError):
                await client.writer.wait_closed()

    async def connect(self) -> Client:
        """A connection of a new client."""
        mine, its = socket.socketpair()
        self.server.take(its)
        reader, writer = await asyncio.open_connection(sock=mine, limit=2**24)
        self._clients.append(Client(reader, writer))
        return self._clients[-1]

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Got:
        """The answer to a request, with everything settled that follows from it."""
        return self.loop.run_until_complete(self._ask(method, path, body, **more))

    async def _ask(self, method: str, path: str, body: Any, **more: Any) -> Got:
        async with asyncio.timeout(PATIENCE):
            if self._client.ended:
                self._client.close()
                self._client = await self.connect()
            got = await self._client.ask(method, path, body, **more)
            await self.plane.reconciled()
            return got

    def watch(self, path: str) -> Watch:
        """A watch that begins now, with what is there."""
        return self.loop.run_until_complete(self._watch(path))

    async def _watch(self, path: str) -> Watch:
        watch = Watch(self.loop, await self.connect())
        await watch.begin(path)
        return watch

    def raw(self, data: bytes) -> Got:
        """The answer to bytes on a connection of their own."""

        async def send() -> Got:
            client = await self.connect()
            try:
                async with asyncio.timeout(PATIENCE):
                    return await client.send(data)
            finally:
                client.close()
                await client.writer.wait_closed()
                await asyncio.sleep(0)

        return self.loop.run_until_complete(send())


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.ended = False

    def close(self) -> None:
        self.writer.close()

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, raw_path: bool = False
    ) -> Got:
        return await self.send(self._written(method, path, body, headers, raw_path))

    def only_ask(self, method: str, path: str) -> None:
        """Send a request whose answer is read bit by bit."""
        self.writer.write(self._written(method, path, None, None, False))

    def _written(self, method: str, path: str, body: Any, headers: dict[str, str] | None, raw_path: bool) -> bytes:
        """`body`: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        target = path if raw_path else quote(path, safe="/?&=%:")
        told = {"Host": "lab", "Content-Length": str(len(data))}
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in {**told, **(headers or {})}.items()), "", ""]
        return "\r\n".join(lines).encode() + data

    async def send(self, data: bytes) -> Got:
        self.writer.write(data)
        status, headers = await self.head()
        if headers.get("transfer-encoding") == "chunked":
            pieces = [piece async for piece in self.chunks()]
            body = b"".join(pieces)
        else:
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        self.ended = headers.get("connection") == "close"
        return Got(status, headers, body)

    async def head(self) -> tuple[int, dict[str, str]]:
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = text.strip().split("\r\n")
        return int(first.split(" ")[1]), {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}

    async def chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readline(), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()


class Watch:
    """A watch that is read as a client reads it: the objects that it tells of, by their names."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        self._loop = loop
        self._client = client
        self.objects: dict[tuple[str, str], Raw] = {}
        self.versions: list[int] = []

    async def begin(self, path: str) -> None:
        self._client.only_ask("GET", f"{path}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                                    "&resourceVersionMatch=NotOlderThan")  # fmt: skip
        status, _ = await self._client.head()
        assert status == 200
        self._chunks = self._client.chunks()
        while await self._next():
            pass
        self.versions.clear()

    def until(self, version: int) -> None:
        """Read on to the change that made this version."""
        self._loop.run_until_complete(self._until(version))

    async def _until(self, version: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.versions or self.versions[-1] < version:
                await self._next()

    async def _next(self) -> bool:
        """Take in one event; False for the one that ends what was there."""
        event = msgspec.json.decode(await anext(self._chunks))
        raw = event["object"]
        if event["type"] == "BOOKMARK":
            return False
        place = raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
        known = place in self.objects
        assert known is (event["type"] != "ADDED"), event
        if event["type"] == "DELETED":
            del self.objects[place]
        else:
            self.objects[place] = raw
        self.versions.append(int(raw["metadata"]["resourceVersion"]))
        return True

    def close(self) -> None:
        self._client.close()


async def _log(uid: str, container: str, wanted: LogOptions) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        yield f"{container} of {uid}".encode()

    return pieces()
