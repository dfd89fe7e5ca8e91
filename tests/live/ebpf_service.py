"""One Service, TCP and UDP, on the bed of the ebpf mode, in either family: an endpoint on the node, one on another."""

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from ebpf_bed import Bed, ask
from packetflow import NODE, endpoint_slice, service

from labkit.net.packet import endpoint
from labkit.net.rules import Family
from labkit.proxy.config import EbpfConfig, ProxyConfig
from labkit.proxy.mode import View, seen


class At(NamedTuple):
    """Its addresses: of the endpoints, the Service, the node, a pod and somebody outside."""

    family: Family
    here: str
    there: str
    cluster: tuple[str, int]
    node_port: tuple[str, int]
    client: str
    outside: str
    pods: str

    @property
    def both(self) -> set[str]:
        """The endpoints as they call themselves."""
        return {endpoint(ip, 8080) for ip in (self.here, self.there)}


FOUR = At(
    "IPv4", "10.180.0.1", "10.180.2.1", ("172.30.0.41", 80), ("192.168.0.2", 3001), "10.180.0.9", "203.0.113.2",
    "10.0.0.0/8",
)  # fmt: skip
SIX = At(
    "IPv6", "fd00:10:180::1", "fd00:10:180::2:1", ("fd00:172:30::41", 80), ("2001:db8::1", 3001), "fd00:10:180::9",
    "2600:5200::1", "fd00:10::/32",
)  # fmt: skip


def view(*ends: str, at: At = FOUR, going: str = "", **spec: Any) -> View:
    """The Service with these endpoints; `going`: one that terminates."""
    ports = [{"name": p, "port": 80, "protocol": p, "targetPort": 8080, "nodePort": 3001} for p in ("TCP", "UDP")]
    named = {"namespace": "ns1", "clusterIP": at.cluster[0], "type": "NodePort", "ports": ports}
    terminating = {"ready": False, "serving": True, "terminating": True}
    addresses = [
        {"address": ip, "node": "test-node" if ip == at.here else "node2", **(terminating if ip == going else {})}
        for ip in ends
    ]
    into = [{"name": p, "port": 8080, "protocol": p} for p in ("TCP", "UDP")]
    slices = [{"namespace": "ns1", "service": "svc1", "endpoints": addresses, "ports": into}] if ends else []
    one = service({**named, "name": "svc1", **spec})
    return seen([one], [endpoint_slice(each) for each in slices], NODE, at.family)


@asynccontextmanager
async def started(at: At = FOUR, **settings: Any) -> AsyncIterator[Bed]:
    config = ProxyConfig(cluster_cidr=at.pods, family=at.family, ebpf=EbpfConfig(**settings))
    bed = Bed([at.here], [at.there], [(8080, "TCP"), (8080, "UDP")], [at.client], [at.outside], config)
    await bed.mode.start()
    bed.serve()
    try:
        yield bed
    finally:
        await bed.close()


async def answering(path: str, to: tuple[str, int], n: int = 24, protocol: str = "TCP", first: int = 41000) -> set[str]:
    """The endpoints that answer n connections from n ports."""
    asked = [ask(path, to, protocol, port=first + number) for number in range(n)]
    async with asyncio.timeout(30):
        return {answer.split(" ")[0] for answer in await asyncio.gather(*asked)}


async def refused(path: str, to: tuple[str, int]) -> int:
    """The number of the error."""
    with pytest.raises(OSError) as caught:
        async with asyncio.timeout(3):
            await ask(path, to)
    return caught.value.errno or errno.ETIMEDOUT
