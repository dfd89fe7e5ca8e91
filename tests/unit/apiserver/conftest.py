"""An API server without sockets: requests as values, answers as values."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from labkit.apiserver import subresources
from labkit.apiserver.access import bootstrap, escalation
from labkit.apiserver.access.access import Access
from labkit.apiserver.access.aggregation import Aggregation
from labkit.apiserver.access.rbac import Authorizer
from labkit.apiserver.access.secrets import Secrets
from labkit.apiserver.access.tokens import Tokens
from labkit.apiserver.api import Api
from labkit.apiserver.call import Plane
from labkit.apiserver.documents import Documents
from labkit.apiserver.duties import Duties, LogOptions
from labkit.apiserver.feed import Feed
from labkit.apiserver.http.messages import Answer, Certified, Reply, Request, Stream
from labkit.apiserver.openapi.documents import OpenApi
from labkit.control import refusals
from labkit.control.admission import Admission
from labkit.control.namespaces import ServiceAccounts, create_initial
from labkit.control.reconcile import Loop
from labkit.control.store import Store

Raw = dict[str, Any]
ADMIN = Certified("kubernetes-admin", ("system:masters",))


@dataclass
class Got:
    """An answer, read."""

    status: int
    body: bytes
    headers: dict[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


@dataclass
class Reader:
    """A client that reads a stream: all of it, or nothing from the moment on when it is `stopped`."""

    lines: list[Raw] = field(default_factory=list)
    stopped: bool = False
    going: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, data: bytes) -> None:
        self.lines += [msgspec.json.decode(line) for line in data.splitlines()]
        self.news.set()

    @property
    def full(self) -> bool:
        return self.stopped

    async def drain(self) -> None:
        if self.stopped:
            await self.going.wait()

    async def until(self, count: int) -> list[Raw]:
        async with asyncio.timeout(5):
            while len(self.lines) < count:
                self.news.clear()
                await self.news.wait()
        return self.lines


class Server:
    """The control plane with its API; `evicted` and `logs` are what it asked of the cluster."""

    def __init__(self) -> None:
        self.store = Store()
        self.admission = Admission(self.store)
        self.loop = Loop(self.store, [ServiceAccounts(self.store), Aggregation(self.store)], print)
        create_initial(self.admission)
        for raw in bootstrap.objects():
            self.store.create(raw)
        self.tokens = Tokens(self.store)
        self.access = Access(Authorizer(self.store), self.tokens)
        Secrets(self.store, self.tokens, b"authority")
        self.logs: list[LogOptions] = []
        plane = Plane(self.store, self.admission, Feed(self.store), partial(escalation.check, self.access))
        openapi = OpenApi(self.store.catalogue, self.admission.custom.schema)
        documents = Documents(self.store.catalogue, "10.0.0.1:6443", openapi)
        below = subresources.handlers(self.access, Duties(self._log, self._evict, {}))
        self.api = Api(plane, self.access, documents, below)
        self.loop.drain()

    async def _log(self, uid: str, container: str, wanted: LogOptions) -> AsyncIterator[bytes]:
        self.logs.append(wanted)

        async def pieces() -> AsyncIterator[bytes]:
            yield f"{container} of {uid}".encode()

        return pieces()

    def _evict(self, namespace: str, name: str, _: Raw) -> None:
        if name.startswith("precious"):
            raise refusals.disrupted("budget", 1, 1)
        self.store.delete("Pod", namespace, name)

    def reply(self, method: str, path: str, body: Any = None, token: str = "", **more: Any) -> Reply:
        """The reply to a request of the administrator, or of who has the token. Query parameters by name."""
        headers = {name.lower(): value for name, value in more.pop("headers", {}).items()}
        user = more.pop("user", ADMIN)
        if token:
            headers["authorization"] = f"Bearer {token}"
        query = urlencode(more, doseq=True)
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        target = f"{path}?{query}" if query else path
        reply = self.api.handle(Request(method, target, headers, data, certified=None if token else user))
        if isinstance(reply, Answer | Stream):
            return reply

        async def wait() -> Any:
            return await reply  # type: ignore[misc]

        return asyncio.run(wait())  # type: ignore[no-any-return]

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Got:
        """The same, which must be a whole answer."""
        answer = self.reply(method, path, body, **more)
        assert isinstance(answer, Answer), answer
        return Got(answer.status, answer.body, dict(answer.headers), answer.warnings)

    def get(self, path: str, **more: Any) -> Any:
        got = self.ask("GET", path, **more)
        assert got.status == 200, got.body
        return got.json

    def make(self, path: str, body: Raw, **more: Any) -> Any:
        got = self.ask("POST", path, body, **more)
        assert got.status == 201, got.body
        return got.json

    def config_map(self, name: str, namespace: str = "default", **labels: str) -> Raw:
        metadata = {"name": name, "labels": labels}
        made: Raw = self.make(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": metadata, "data": {"a": "b"}})
        return made

    def account_token(self, name: str = "default", namespace: str = "default") -> str:
        return self.tokens.issue(self.store.get("ServiceAccount", namespace, name), [], 3600)[0]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def reader() -> type[Reader]:
    return Reader
