"""Port-forward, as clients of each protocol see it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from clients import Browser, Spdy, data
from wire import Far, Pod, run
from wsproto.events import BytesMessage

from labkit.apiserver.streams import spdy_frames as frames
from labkit.apiserver.streams.forward import port, ports
from labkit.apiserver.streams.handshake import TUNNEL, Accepted
from labkit.apiserver.streams.portforward import forward
from labkit.apiserver.streams.spdy_frames import Control, Data, ProtocolError
from labkit.apiserver.streams.taken import Taken

PLAIN = ("SPDY/3.1", "portforward.k8s.io")
TUNNELLED = ("websocket", TUNNEL)
BOTH = pytest.mark.parametrize("way", [PLAIN, TUNNELLED], ids=["plain", "tunnelled"])


def forwarding(near: Taken, pod: Pod, way: tuple[Any, str], *numbers: int) -> asyncio.Task[None]:
    return asyncio.create_task(forward(Accepted(*way, ()), near, numbers, pod.dial, "web"))


@BOTH
def test_two_connections_at_once_and_one_that_is_refused(way: tuple[Any, str]) -> None:
    async def work(near: Taken, far: Far) -> None:
        pod = Pod()
        serving = forwarding(near, pod, way)
        client = Spdy(far, tunnel=way is TUNNELLED)
        one = client.open("error", "data", requestID="0", port="80")
        two = client.open("data", "error", first=5, requestID="1", port="80")
        bad = client.open("error", "data", first=9, requestID="2", port="81")
        client.send(Data(two["data"], b"two", fin=True), Data(one["data"], b"one", fin=True))
        found = await client.until_finished(1, 3, 5, 7, 9, 11)
        assert data(found, one["data"]) == b"ONE"
        assert data(found, two["data"]) == b"TWO"
        assert data(found, one["error"]) + data(found, two["error"]) == b""
        assert data(found, bad["error"]) == b"error forwarding port 81 to pod web, uid : connection refused"
        far.close()
        await serving
        assert all(connection.closed.is_set() for connection in pod.connections)

    run(work)


@BOTH
def test_what_goes_with_the_client_and_what_with_one_reset(way: tuple[Any, str]) -> None:
    async def work(near: Taken, far: Far) -> None:
        pod = Pod()
        serving = forwarding(near, pod, way)
        client = Spdy(far, tunnel=way is TUNNELLED)
        one = client.open("error", "data", requestID="0", port="80")
        client.open("error", "data", first=5, requestID="1", port="80")
        client.send(Data(one["data"], b"x"))
        while len(pod.connections) < 2:
            await client.some()
        client.send(Control(frames.RST_STREAM, one["data"], value=frames.CANCEL))
        await pod.connections[0].closed.wait()
        assert not pod.connections[1].closed.is_set()
        far.close()
        await serving
        assert pod.connections[1].closed.is_set()

    run(work)


def test_streams_of_old_clients_are_paired_by_their_numbers() -> None:
    async def work(near: Taken, far: Far) -> None:
        serving = forwarding(near, Pod(), PLAIN)
        client = Spdy(far)
        one = client.open("error", "data", port="80")
        client.send(Data(one["data"], b"old", fin=True))
        assert data(await client.until_finished(*one.values()), one["data"]) == b"OLD"
        far.close()
        await serving

    run(work)


def test_streams_with_wrong_headers_are_refused_and_a_third_one_is_told() -> None:
    async def work(near: Taken, far: Far) -> None:
        serving = forwarding(near, Pod(), PLAIN)
        client = Spdy(far)
        client.open("data", requestID="0", port="0")
        client.open("data", first=3, requestID="0", port="many")
        client.open("data", first=5, requestID="0")
        client.open("stdin", first=7, requestID="0", port="80")
        error = client.open("error", first=9, requestID="0", port="80")["error"]
        client.open("error", first=11, requestID="0", port="80")
        client.send(Control(frames.PING, value=1))
        found = await client.frames(frames.PING)
        refused = [f.stream for f in found if isinstance(f, Control) and f.type == frames.RST_STREAM]
        assert refused == [1, 3, 5, 7]
        told = data(found, error) or data(await client.some(), error)
        assert told == b"error processing stream for request 0: error stream already assigned"
        far.close()
        await serving

    run(work)


def test_channels_begin_with_the_port_and_carry_data_and_errors() -> None:
    async def work(near: Taken, far: Far) -> None:
        pod = Pod()
        serving = forwarding(near, pod, ("websocket", "v4.channel.k8s.io"), 80, 8081)
        browser = Browser(far)
        browser.send(b"\0hello", BytesMessage(b"\0 wor", message_finished=False), BytesMessage(b"ld"))
        reading = asyncio.create_task(browser.events())
        while not pod.connections:
            await asyncio.sleep(0)
        await pod.connections[0].write(b"!")
        await pod.connections[0].close_write()
        events = await reading
        await serving
        assert events[:4] == [(0, b"\x50\0"), (1, b"\x50\0"), (2, b"\x91\x1f"), (3, b"\x91\x1f")]
        assert (3, b"error forwarding port 8081 to pod web, uid : connection refused") in events
        assert b"".join(d for c, d in events[4:] if c == 0).replace(b"!", b"") in b"HELLO WORLD"
        assert events[-1] == ("close", 1000)
        assert pod.connections[0].closed.is_set()

    run(work)


def test_ports_of_a_query() -> None:
    assert ports({"ports": ["80,81", "443"]}) == [80, 81, 443]
    for query in ({}, {"ports": [""]}, {"ports": ["x"]}, {"ports": ["65536"]}, {"ports": ["0"]}, {"ports": ["٣"]}):
        with pytest.raises(ProtocolError):
            ports(query)
    with pytest.raises(ProtocolError, match='unable to parse "-1" as a port'):
        port("-1")
