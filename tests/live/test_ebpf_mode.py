"""The ebpf mode on one node: what it makes, keeps, repairs and takes back."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest
from ebpf_bed import ask
from ebpf_service import FOUR, answering, refused, started, view
from inside import in_sandbox

from labkit.errors import MissingFeature, RuleError
from labkit.linux import netns, sock_diag
from labkit.linux.bpf import Loaded
from labkit.proxy.ebpf import PINS, layout
from labkit.proxy.ebpf.image import image
from labkit.proxy.ebpf.maps import MAPS
from labkit.proxy.ebpf.mode import UNTERMINATED

pytestmark = pytest.mark.sandbox("uml")  # the one kind whose kernel lets programs be loaded wherever the tests run

A, B, CLUSTER, NODE_PORT, OUTSIDE = FOUR.here, FOUR.there, FOUR.cluster, FOUR.node_port, FOUR.outside
NAMES = MAPS["IPv4"]
BOTH = FOUR.both


@pytest.fixture(autouse=True)
def _compiled() -> None:
    """Out here, where it is quick."""
    image()


@in_sandbox
async def test_what_somebody_deletes_comes_back_and_what_somebody_adds_goes() -> None:
    async with started() as bed:
        now = view(A, B)
        assert await bed.mode.sync(now, None)
        assert await bed.mode.sync(now, None) == ""
        assert await answering(bed.pods, CLUSTER) == BOTH
        maps = bed.mode._maps
        wanted = {name: maps[name].items() for name in (NAMES.services, NAMES.backends, NAMES.netns)}
        maps[NAMES.services].delete(wanted[NAMES.services])
        maps[NAMES.netns].delete(wanted[NAMES.netns])
        maps[NAMES.backends].update({layout.backend_key(99): layout.backend((A, 1, "tcp"), layout.ACTIVE)})
        assert "bpftool map delete name cilium_lb4_backends_v3 key hex 63 00 00 00" in await bed.mode.sync(now, None)
        assert {name: maps[name].items() for name in wanted} == wanted
        assert await answering(bed.pods, CLUSTER) == BOTH


@in_sandbox
async def test_programs_act_for_the_sockets_of_their_node_alone() -> None:
    async with started() as bed:
        await bed.mode.sync(view(A), None)
        bed.mode.leave(bed.pods)
        assert await refused(bed.pods, CLUSTER) != 0
        bed.mode.join(bed.pods)
        assert await answering(bed.pods, CLUSTER) == {f"{A}:8080"}
        assert await answering(bed.node, ("127.0.0.1", 3001)) == {f"{A}:8080"}
        assert await refused(bed.pods, ("127.0.0.1", 3001)) == errno.ECONNREFUSED  # a pod's loopback is its own


@in_sandbox
async def test_nothing_is_left_after_the_end() -> None:
    async with started() as bed:
        await bed.mode.sync(view(A, B), None)
        pins = Path(PINS, "node", "IPv4")
        assert {pin.name for pin in pins.iterdir()} > {NAMES.services, NAMES.maglev}
        await bed.mode.stop()
        assert not pins.parent.exists()
        assert await refused(bed.pods, CLUSTER) != 0
        assert await refused(bed.world, NODE_PORT) == errno.ECONNREFUSED
        with pytest.raises(RuleError, match="has not been started"):
            await bed.mode.sync(view(A), None)
        await bed.mode.start()
        await bed.mode.sync(view(A, B), None)
        assert await answering(bed.pods, CLUSTER) == await answering(bed.world, NODE_PORT) == BOTH


@in_sandbox
async def test_maglev_leads_the_same_client_to_the_same_endpoint_on_a_node_that_never_saw_it() -> None:
    async with started(algorithm="maglev") as bed:
        ways = []
        for _ in range(2):
            await bed.mode.sync(view(A, B), None)
            asked = [ask(bed.world, NODE_PORT, "UDP", OUTSIDE, 42000 + n) for n in range(48)]
            ways.append([answer.split(" ")[0] for answer in await asyncio.gather(*asked)])
            await bed.mode.stop()
            await bed.mode.start()
        assert ways[0] == ways[1]
        assert set(ways[0]) == BOTH


@in_sandbox
async def test_a_client_keeps_its_endpoint_as_long_as_that_is_one() -> None:
    async with started() as bed:
        await bed.mode.sync(view(A, B, sessionAffinity="ClientIP"), None)
        for path, to in ((bed.pods, CLUSTER), (bed.world, NODE_PORT)):
            (kept,) = await answering(path, to, 16)
            left = A if kept.startswith(B) else B
            await bed.mode.sync(view(left, sessionAffinity="ClientIP"), {("ns1/svc1:TCP", "tcp")})
            assert await answering(path, to, 16) == {f"{left}:8080"}
            await bed.mode.sync(view(A, B, sessionAffinity="ClientIP"), {("ns1/svc1:TCP", "tcp")})
            later = await answering(path, to, 16, first=41100)  # the node's ports for the others are still closing
            assert later == {f"{left}:8080"}


@in_sandbox
async def test_a_connection_stays_with_an_endpoint_that_terminates_and_new_ones_do_not_go_there() -> None:
    async with started() as bed:
        loop = asyncio.get_running_loop()
        await bed.mode.sync(view(B), None)
        with netns.socket_in(bed.world, socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
            client.bind((OUTSIDE, 43000))
            client.connect(NODE_PORT)

            async def asked() -> str:
                await loop.sock_sendall(client, b"?")
                return (await loop.sock_recv(client, 100)).decode().split(" ")[0]

            assert await asked() == f"{B}:8080"
            await bed.mode.sync(view(A, B, going=B), None)
            assert await asked() == f"{B}:8080"
            assert await answering(bed.world, NODE_PORT, 12, "UDP") == {f"{A}:8080"}
            await bed.mode.sync(view(A), None)
            assert await asked() == f"{A}:8080"


@in_sandbox
async def test_a_udp_client_of_an_endpoint_that_goes_is_told_or_the_log_says_why_not() -> None:
    async with started() as bed:
        loop, said = asyncio.get_running_loop(), list[str]()
        bed.mode.say = lambda level, place, message, facts: said.append(message)
        await bed.mode.sync(view(A), None)
        await bed.mode.sync(view(B), None)
        assert said == []  # nobody talked to it
        with netns.socket_in(bed.pods, socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as client:
            client.connect(CLUSTER)
            client.send(b"?")
            async with asyncio.timeout(5):
                assert (await loop.sock_recv(client, 100)).decode().startswith(B)
            await bed.mode.sync(view(A, B, going=B), None)
            assert said == []  # its connections may go on as long as it terminates
            client.send(b"?")
            assert (await loop.sock_recv(client, 100)).decode().startswith(B)
            await bed.mode.sync(view(A), None)
            try:
                sock_diag.destroys(bed.node)
            except MissingFeature:
                assert said == [UNTERMINATED]
            else:
                with pytest.raises(ConnectionAbortedError):
                    client.recv(100)
                client.connect(CLUSTER)
                client.send(b"?")
                assert (await loop.sock_recv(client, 100)).decode().startswith(A)


@in_sandbox
async def test_a_full_map_is_told_and_the_next_sync_goes_on() -> None:
    async with started(map_max=8) as bed:
        with pytest.raises(RuleError, match=r"an eBPF map is full: [1-9][0-9]* entries found no room"):
            await bed.mode.sync(view(A, B), None)
        await bed.mode.sync(view(), None)
        assert await refused(bed.pods, CLUSTER) == errno.EHOSTUNREACH


@in_sandbox
async def test_what_is_no_object_is_refused_with_the_reason() -> None:
    with pytest.raises(RuleError, match="this is no eBPF object file"):
        Loaded(b"nothing of the kind")
