"""The traffic process: real requests from any place of the lab."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from labkit.errors import LabError, NetlinkError
from labkit.linux import httpclient
from labkit.net.packet import Packet, endpoint, split_endpoint
from labkit.net.place import Place
from labkit.traffic import requests, resolve, served, target

CONCURRENCY = 16  # measured on two cores: fewer leave one of them idle, more only wait for each other


class Traffic:
    """The role's handlers: what control may ask of this process."""

    def __init__(self, notify: Callable[[str, dict[str, Any]], None]) -> None:
        self._notify = notify

    async def request(
        self,
        place: dict[str, Any],
        url: str,
        n: int = 1,
        concurrency: int = CONCURRENCY,
        timeout: float = 2.0,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        keepalive: bool = False,
        verify: bool = True,
        nat: Iterable[str] = (),
        machines: Mapping[str, str] | None = None,
        balanced: Sequence[str] = (),
        cookies: bool = False,
    ) -> list[dict[str, Any]]:
        """Send `n` requests from a place; one row each (`requests.Row`), in their order.

        url      http, https, tcp://host:port or udp://host:port; tcp and udp send `body` and take the first answer,
                 tcp without a body only connects, udp without one sends "hostname", which netexec answers
        timeout  seconds for each request;  verify: https checks the server's certificate
        nat      paths of the network namespaces that may translate addresses on the way: the source's node, and for a
                 source outside every node. Their conntrack tables tell who really answered.
        machines address -> network namespace of the nodes, to which a request may be sent, and be translated there
        balanced addresses that may lead to any of them
        cookies  whether the rows have a further field "socket": the cookie of the socket

        Raises `LabError` for a URL or numbers that make no sense; every other failure is a row.
        """
        source = msgspec.convert(place, Place)
        goal = target.parse(url)
        if n < 0 or concurrency < 1 or timeout <= 0:
            raise LabError(f"n={n}, concurrency={concurrency}, timeout={timeout}: they must not be negative or zero")
        payload = body.encode() if isinstance(body, str) else body
        if goal.http:
            payload = httpclient.encode(method, goal.authority, goal.path, headers or {}, payload, keepalive)
        elif goal.scheme == "udp" and not payload:
            payload = b"hostname"
        tls = _tls(verify) if goal.scheme == "https" else None
        plan = requests.Plan(source, goal, payload, n, concurrency, timeout, keepalive, tls)
        ways = tuple(nat)
        beyond = _beyond(machines or {}, balanced)

        def reused(earlier: requests.Sent) -> None:
            _name_servers([earlier], ways, beyond)
            earlier.packet = None
            earlier.row.client = ""

        sent = await requests.send(plan, reused)
        _name_servers(sent, ways, beyond)
        rows: list[dict[str, Any]] = msgspec.to_builtins([one.row for one in sent])
        if cookies:
            for row, one in zip(rows, sent, strict=True):
                row["socket"] = one.cookie
        return rows

    def follow(
        self, protocol: str, sent: Sequence[tuple[str, str]], machines: Mapping[str, str]
    ) -> list[tuple[str, str]]:
        """Where connections arrived that somebody else made to `machines`, and from where: client and server.

        sent  the ends of each as its maker sees them: local, remote, both `ip:port`; protocol in lower case
        """
        packets = [_packet(protocol, *ends) for ends in sent]
        servers: dict[Packet, Packet] = {}
        with suppress(NetlinkError):
            servers = served.delivered(packets, (), _beyond(machines))
        arrived = (servers.get(packet, packet) for packet in packets)
        return [(endpoint(p.src, p.sport), endpoint(p.dst, p.dport)) for p in arrived]

    async def resolve(self, place: dict[str, Any], name: str) -> dict[str, Any]:
        """Look a name up as a program in the place would: addresses, error, and every query made on the way."""
        lookup = await resolve.resolve(msgspec.convert(place, Place), name)
        found: dict[str, Any] = msgspec.to_builtins(lookup)
        return found


def _beyond(machines: Mapping[str, str], balanced: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    everywhere = tuple(dict.fromkeys(machines.values()))
    return {**dict.fromkeys(balanced, everywhere), **{address: (path,) for address, path in machines.items()}}


def _packet(protocol: str, local: str, remote: str) -> Packet:
    (src, sport), (dst, dport) = split_endpoint(local), split_endpoint(remote)
    return Packet(src, dst, "UDP" if protocol == "udp" else "TCP", sport, dport)


def _name_servers(sent: list[requests.Sent], nat: tuple[str, ...], machines: Mapping[str, Sequence[str]]) -> None:
    """Put into each row who the kernel delivered it to. A kernel without conntrack translates nothing."""
    servers: dict[Packet, Packet] = {}
    with suppress(NetlinkError):
        servers = served.delivered([one.packet for one in sent if one.packet], nat, machines)
    for one in sent:
        if one.packet and (one.packet in servers or not one.row.error):
            server = servers.get(one.packet, one.packet)
            one.row.server = endpoint(server.dst, server.dport)
            one.row.client = endpoint(server.src, server.sport)


def _tls(verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
