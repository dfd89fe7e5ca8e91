"""A DNS server and a client in namespaces of their own, for the live tests of `labkit.dns`."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from labkit.api.objects import Pod, view
from labkit.dns import resolv
from labkit.dns.server import Server
from labkit.linux import execute, netns
from labkit.net.place import Place

DNS_IP, CLIENT_IP, UPSTREAM_IP = "10.244.1.2", "10.244.1.3", "10.244.1.4"
UID = "uid-of-coredns"
WEB = {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]}
BIG = 120  # backends of the Service `big`: more than 512 octets hold


def place(name: str, address: str, resolv_conf: str = "") -> Place:
    return Place(f"shop/{name}", "pod", f"/run/netns/{name}", name, addresses=(address,), resolv_conf=resolv_conf)


def wire_up(*pods: tuple[str, str]) -> None:
    """A namespace for each pod, on one bridge of the sandbox."""
    commands = ["link add br0 type bridge", "link set br0 up"]
    for number, (name, address) in enumerate(pods):
        netns.create(name)
        commands += [
            f"link add v{number} type veth peer name eth0 netns {name}",
            f"link set v{number} master br0 up",
            f"-n {name} addr add {address}/24 dev eth0",
            f"-n {name} link set eth0 up",
            f"-n {name} link set lo up",
        ]
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def tell(server: Server) -> None:
    """The cluster's objects, as control tells them."""
    server.event("ADDED", {"kind": "Namespace", "metadata": {"name": "shop"}})
    for name, spec in (
        ("web", WEB),
        ("big", {"clusterIP": "None"}),
        ("out", {"type": "ExternalName", "externalName": "www.example.com"}),
    ):
        server.event("ADDED", {"kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    labels = {"kubernetes.io/service-name": "big"}
    endpoints = [{"addresses": [f"10.244.2.{n}"]} for n in range(BIG)]
    meta = {"name": "big-x", "namespace": "shop", "labels": labels}
    server.event("ADDED", {"kind": "EndpointSlice", "metadata": meta, "endpoints": endpoints})


@asynccontextmanager
async def running(resolv_conf: str = "") -> AsyncIterator[tuple[Server, Place, list[Any]]]:
    """(server, place of a client whose resolv.conf is the kubelet's, events that the server sent)."""
    wire_up(("dns", DNS_IP), ("client", CLIENT_IP), ("upstream", UPSTREAM_IP))
    events: list[Any] = []
    server = Server(lambda *event: events.append(event))
    tell(server)
    served = place("dns", DNS_IP, resolv_conf)
    await server.start_pod(
        {"name": served.name, "kind": "pod", "netns": served.netns, "addresses": [DNS_IP], "resolv_conf": resolv_conf},
        UID,
    )
    pod = view({"metadata": {"name": "client", "namespace": "shop"}}, Pod)
    client = place("client", CLIENT_IP, resolv.resolv_conf(pod, DNS_IP).text())
    yield server, client, events
    server.stop_pod(UID)


async def output(client: Place, command: str) -> str:
    done = await execute.run(client, command, timeout=20)
    assert done.code == 0, (command, done)
    return done.stdout


async def exchange(data: bytes, wait: float = 1.0) -> bytes | None:
    """Send one datagram from the client's namespace; None where no answer comes."""
    loop = asyncio.get_running_loop()
    with netns.socket_in("/run/netns/client", socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((DNS_IP, 53))
        await loop.sock_sendall(sock, data)
        try:
            return await asyncio.wait_for(loop.sock_recv(sock, 65535), wait)
        except TimeoutError:
            return None
