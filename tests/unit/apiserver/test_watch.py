"""Watches: what a client hears, in which order, and what becomes of one that does not read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from labkit.apiserver.http.messages import Stream

MAPS = "/api/v1/namespaces/default/configmaps"


def watched(server: Any, reader: Any, work: Callable[[Any], Awaitable[None]], path: str = MAPS, **query: Any) -> Any:
    """Watch while `work` does something; returns what was heard."""

    async def both() -> Any:
        stream = server.reply("GET", path, watch="true", **query)
        assert isinstance(stream, Stream), stream
        client = reader()
        running = asyncio.ensure_future(stream.run(client))
        try:
            await work(client)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return client.lines

    return asyncio.run(both())


def heard(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["type"], line["object"]["metadata"].get("name", "")) for line in lines]


def test_first_what_is_there_then_every_change(server: Any, reader: Any) -> None:
    server.config_map("a")
    server.config_map("elsewhere", "kube-public")

    async def work(client: Any) -> None:
        await client.until(1)
        server.config_map("b")
        server.ask("PUT", f"{MAPS}/a", {"data": {"x": "y"}})
        server.ask("DELETE", f"{MAPS}/b")
        await client.until(4)

    lines = watched(server, reader, work)
    assert heard(lines) == [("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(line["object"]["metadata"]["resourceVersion"]) for line in lines]
    assert versions == sorted(versions)


def test_from_a_version_on_nothing_is_missed_or_told_twice(server: Any, reader: Any) -> None:
    version = server.config_map("a")["metadata"]["resourceVersion"]
    server.config_map("b")

    async def work(client: Any) -> None:
        await client.until(1)
        server.config_map("c")
        await client.until(2)

    assert heard(watched(server, reader, work, resourceVersion=version)) == [("ADDED", "b"), ("ADDED", "c")]


def test_what_a_selector_lets_through_comes_and_goes(server: Any, reader: Any) -> None:
    async def work(client: Any) -> None:
        server.config_map("a", app="web")
        server.config_map("z", app="api")
        for app in ("api", "web"):
            server.ask("PUT", f"{MAPS}/a", {"metadata": {"labels": {"app": app}}})
        server.ask("PUT", f"{MAPS}/a", {"metadata": {"labels": {"app": "web"}}, "data": {"n": "1"}})
        await client.until(4)

    lines = watched(server, reader, work, labelSelector="app=web")
    assert heard(lines) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "a"), ("MODIFIED", "a")]
    assert lines[1]["object"]["metadata"]["labels"] == {"app": "web"}, "what leaves is told as it was"


def test_one_object_by_name(server: Any, reader: Any) -> None:
    async def work(client: Any) -> None:
        server.config_map("a")
        server.config_map("b")
        await client.until(1)

    assert heard(watched(server, reader, work, path=f"{MAPS}/b")) == [("ADDED", "b")]


def test_a_streamed_list_has_an_end(server: Any, reader: Any) -> None:
    server.config_map("a")

    async def work(client: Any) -> None:
        await client.until(2)

    lines = watched(
        server, reader, work, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
    )
    assert heard(lines) == [("ADDED", "a"), ("BOOKMARK", "")]
    metadata = lines[1]["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert metadata["resourceVersion"] == server.store.version


def test_a_watch_that_ends_says_how_far_it_came(server: Any, reader: Any) -> None:
    async def work(client: Any) -> None:
        await client.until(1)

    server.config_map("a")
    version = server.store.version
    lines = watched(server, reader, work, resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=1)
    assert [(line["type"], line["object"]["metadata"]["resourceVersion"]) for line in lines] == [("BOOKMARK", version)]


def test_a_client_that_does_not_read_costs_nothing_and_is_told(server: Any, reader: Any) -> None:
    server.config_map("a")

    async def work(client: Any) -> None:
        await client.until(1)
        client.stopped = True
        for number in range(4200):
            server.store.update("ConfigMap", "default", "a", lambda raw, n=number: raw["data"].update(n=str(n)))
            if number % 500 == 0:
                await asyncio.sleep(0)
        held = len(client.lines)
        assert held <= 3, "it holds no events for a client that does not take them"
        client.stopped = False
        client.going.set()
        await client.until(held + 1)

    lines = watched(server, reader, work)
    assert lines[-1]["type"] == "ERROR"
    assert (lines[-1]["object"]["code"], lines[-1]["object"]["reason"]) == (410, "Expired")


def test_a_client_that_reads_late_misses_nothing(server: Any, reader: Any) -> None:
    async def work(client: Any) -> None:
        server.config_map("a")
        await client.until(1)
        client.stopped = True
        for number in range(100):
            server.store.update("ConfigMap", "default", "a", lambda raw, n=number: raw["data"].update(n=str(n)))
            await asyncio.sleep(0)
        client.stopped = False
        client.going.set()
        await client.until(101)

    lines = watched(server, reader, work)
    assert [line["object"]["data"].get("n") for line in lines] == [None, *map(str, range(100))]


def test_tables_tell_their_columns_once(server: Any, reader: Any) -> None:
    async def work(client: Any) -> None:
        server.config_map("a")
        server.config_map("b")
        await client.until(2)

    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    first, second = watched(server, reader, work, headers=accept)
    assert first["object"]["kind"] == second["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"] and not second["object"]["columnDefinitions"]
    assert second["object"]["rows"][0]["cells"][0] == "b"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"resourceVersionMatch": "NotOlderThan"}, 422),
        ({"sendInitialEvents": "true"}, 422),
        ({"sendInitialEvents": "true", "resourceVersionMatch": "Exact"}, 422),
        ({"resourceVersion": "99999999"}, 504),
        ({"resourceVersion": "soon"}, 400),
        ({"labelSelector": "a in ("}, 400),
        ({"timeoutSeconds": "x"}, 400),
    ],
)
def test_a_watch_that_cannot_begin_is_refused(server: Any, query: dict[str, str], code: int) -> None:
    assert server.ask("GET", MAPS, watch="1", **query).status == code
