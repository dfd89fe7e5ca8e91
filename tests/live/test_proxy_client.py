"""How a kube-proxy by itself follows an API server that ends watches, forgets, refuses and goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from inside import ONCE, in_sandbox

from labkit.linux.rtnetlink import Links
from labkit.proxy.client import reflector
from labkit.proxy.client.api import Api, Refused
from labkit.proxy.client.kubeconfig import Access
from labkit.proxy.client.reflector import Reflector

pytestmark = ONCE

Raw = dict[str, Any]


def service(name: str, version: int) -> Raw:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}}


class Server:
    """Answers each list and each watch by the next of the scripts that it is given."""

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[Raw] = []
        self.agents: set[str] = set()

    async def start(self) -> int:
        with Links() as links:
            links.set_link("lo", up=True)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        query = {k: v[0] for k, v in parse_qs(urlsplit(head.split()[1]).query).items()}
        self.asked.append(query)
        self.agents |= {line for line in head.split("\r\n") if line.startswith(("User-Agent", "Authorization"))}
        script = (self.watches if "watch" in query else self.lists).pop(0)
        if "watch" not in query:
            status, body = (200, script) if "items" in script else (script["code"], script)
            data = json.dumps(body).encode()
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for event in script:
                if event is None:  # for good
                    await asyncio.Event().wait()
                data = json.dumps(event).encode() + b"\n"
                for part in (data[:7], data[7:]):  # lines come in pieces
                    writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()


def listed(version: int, *objects: Raw, more: str = "") -> Raw:
    return {
        "items": list(objects),
        "metadata": {"resourceVersion": str(version), **({"continue": more} if more else {})},
    }


def event(kind: str, raw: Raw) -> Raw:
    return {"type": kind, "object": raw}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@in_sandbox
async def test_every_change_is_told_once_whatever_becomes_of_the_connection() -> None:
    reflector.FIRST = 0.01
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    server = Server(
        lists=[
            {"code": 403, "message": "not yet"},
            listed(3, service("a", 1), more="next"),
            listed(5, service("b", 2), service("c", 3)),
            listed(30, service("b", 2), service("c", 21), service("e", 22)),
        ],
        watches=[
            [event("ADDED", service("d", 6)), event("MODIFIED", service("a", 7)), event("BOOKMARK", service("", 9))],
            [event("DELETED", service("d", 10)), "garbage"],
            [expired],
            [None],
        ],
    )
    port = await server.start()
    told: list[tuple[str, str]] = []
    counted: list[tuple[int, str, str]] = []
    said: list[str] = []
    api = Api(Access("127.0.0.1", port, None, "secret"), lambda *answer: counted.append(answer), "kube-proxy/v1")
    following = Reflector(
        api, "/api/v1/services", lambda change, raw: told.append((change, raw["metadata"]["name"])),
        lambda level, place, message, facts: said.append(facts["err"]), labelSelector="!a/b", fieldSelector="c!=None",
    )  # fmt: skip
    task = asyncio.ensure_future(following.run())
    await until(lambda: ("ADDED", "e") in told)
    assert following.synced.is_set()
    assert told[:6] == [
        ("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c"), ("ADDED", "d"), ("MODIFIED", "a"), ("DELETED", "d"),
    ]  # fmt: skip
    assert sorted(told[6:]) == [("ADDED", "e"), ("DELETED", "a"), ("MODIFIED", "c")]
    await until(lambda: not server.watches)
    assert [q.get("resourceVersion") for q in server.asked if "watch" in q] == ["5", "9", "10", "30"]
    assert all((q["labelSelector"], q["fieldSelector"]) == ("!a/b", "c!=None") for q in server.asked)
    assert server.agents == {"User-Agent: kube-proxy/v1", "Authorization: Bearer secret"}
    assert said[0] == "not yet" and said[-1] == "too old" and len(said) == 3
    assert counted[0] == (403, "GET", f"127.0.0.1:{port}")
    task.cancel()


@in_sandbox
async def test_a_server_that_is_not_there_or_no_server() -> None:
    server = Server([{"code": 401, "message": "Unauthorized"}], [])
    port = await server.start()
    api = Api(Access("127.0.0.1", port, None), lambda *_: None, "x")
    try:
        await api.get("/api/v1/services")
    except Refused as refused:
        assert (refused.message, refused.details["code"]) == ("Unauthorized", 401)
    else:
        raise AssertionError("it was refused")
    for access in (Access("127.0.0.1", 1, None), Access("127.0.0.2", port + 1, None)):
        try:
            await Api(access, lambda *_: None, "x").get("/")
        except OSError:
            continue
        raise AssertionError("nobody listens there")
