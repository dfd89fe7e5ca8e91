"""The ebpf mode in IPv6, and beside itself in IPv4 on one node."""

import asyncio
import errno
import socket
import subprocess
from pathlib import Path

import pytest
from ebpf_bed import ask
from ebpf_service import FOUR, SIX, answering, refused, started, view
from inside import in_sandbox

from labkit.linux import netns
from labkit.proxy.config import ProxyConfig
from labkit.proxy.ebpf import PINS
from labkit.proxy.ebpf.image import image
from labkit.proxy.ebpf.maps import MAPS
from labkit.proxy.ebpf.mode import EbpfMode

pytestmark = pytest.mark.sandbox("uml")  # the one kind whose kernel lets programs be loaded wherever the tests run

A, B, CLUSTER, NODE_PORT, OUTSIDE = SIX.here, SIX.there, SIX.cluster, SIX.node_port, SIX.outside
IPV6_DSTOPTS = 59
PADDING = bytes([0, 0, 1, 4, 0, 0, 0, 0])  # a header of destination options that says nothing (RFC 8200, 4.6)


@pytest.fixture(autouse=True)
def _compiled() -> None:
    """Out here, where it is quick."""
    for family in MAPS:
        image(family)


@in_sandbox
async def test_services_answer_from_everywhere_and_say_so_without_an_endpoint() -> None:
    async with started(SIX) as bed:
        assert await bed.mode.sync(view(A, B, at=SIX), None)
        assert await bed.mode.sync(view(A, B, at=SIX), None) == ""
        for path, to in ((bed.pods, CLUSTER), (bed.node, CLUSTER), (bed.node, ("::1", 3001)), (bed.world, NODE_PORT)):
            for protocol in ("TCP", "UDP"):
                assert await answering(path, to, protocol=protocol) == SIX.both
        assert await refused(bed.pods, ("::1", 3001)) == errno.ECONNREFUSED  # a pod's loopback is its own
        await bed.mode.sync(view(at=SIX), None)
        assert await refused(bed.pods, CLUSTER) == errno.EHOSTUNREACH
        assert await refused(bed.world, NODE_PORT) == errno.ECONNREFUSED


@in_sandbox
async def test_clients_keep_their_endpoints() -> None:
    async with started(SIX, algorithm="maglev") as bed:
        ways = []
        for _ in range(2):
            await bed.mode.sync(view(A, B, at=SIX), None)
            asked = [ask(bed.world, NODE_PORT, "UDP", OUTSIDE, 42000 + n) for n in range(48)]
            ways.append([answer.split(" ")[0] for answer in await asyncio.gather(*asked)])
            await bed.mode.stop()
            await bed.mode.start()
        assert ways[0] == ways[1]
        assert set(ways[0]) == SIX.both
        await bed.mode.sync(view(A, B, at=SIX, sessionAffinity="ClientIP"), None)
        for path, to in ((bed.pods, CLUSTER), (bed.world, NODE_PORT)):
            assert len(await answering(path, to, 16)) == 1


@in_sandbox
async def test_what_has_an_extension_header_is_passed_on() -> None:
    async with started(SIX) as bed:
        await bed.mode.sync(view(A, B, at=SIX), None)
        loop = asyncio.get_running_loop()
        with netns.socket_in(bed.world, socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
            client.connect(NODE_PORT)
            client.send(b"?")
            async with asyncio.timeout(5):
                assert await loop.sock_recv(client, 100)
            client.setsockopt(socket.IPPROTO_IPV6, IPV6_DSTOPTS, PADDING)
            client.send(b"?")
            with pytest.raises(ConnectionRefusedError):  # by the node itself, which has no such port
                async with asyncio.timeout(5):
                    await loop.sock_recv(client, 100)


@in_sandbox
async def test_each_family_comes_and_goes_without_the_other() -> None:
    async with started(SIX) as bed:
        await bed.mode.sync(view(A, B, at=SIX), None)
        four = EbpfMode(bed.node, ProxyConfig(cluster_cidr=FOUR.pods))
        await four.start()
        await four.sync(view(FOUR.here), None)
        assert await answering(bed.world, NODE_PORT) == SIX.both
        assert {pins.name for pins in Path(PINS, "node").iterdir()} == {"IPv4", "IPv6"}
        await four.stop()
        assert await answering(bed.world, NODE_PORT) == SIX.both
        assert "clsact" in _qdiscs(bed.node)
        await bed.mode.stop()
        assert "clsact" not in _qdiscs(bed.node)
        assert not Path(PINS, "node").exists()


def _qdiscs(path: str) -> str:
    with netns.entered(path):
        return subprocess.run(["tc", "qdisc", "show", "dev", "eth0"], capture_output=True, text=True, check=True).stdout
