"""IPVS's table as plain values, in the words of `ipvsadm`.

VirtualServer 10.96.0.10:80 tcp rr  ->  RealServer 10.244.1.5:8080 weight 1, RealServer 10.244.2.7:8080 weight 1
"""

from __future__ import annotations

from ipaddress import ip_address

import msgspec

from labkit.net.packet import endpoint

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh")
_OPTION = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_PROTOCOL = {option: protocol for protocol, option in _OPTION.items()}

ServerKey = tuple[str, str, int]
"""Protocol in lower case, address, port: what a virtual server is known by."""


class RealServer(msgspec.Struct, frozen=True, order=True):
    """One destination, reached by masquerading (IPVS's word for rewriting the destination).

    weight  0: no new connection, those that there are go on
    active, inactive  connections as the kernel counts them; always 0 in a plan
    """

    ip: str
    port: int
    weight: int = 1
    active: int = 0
    inactive: int = 0

    @property
    def address(self) -> str:
        return endpoint(self.ip, self.port)


class VirtualServer(msgspec.Struct, frozen=True):
    """One address and port that connections are spread from.

    persistent  seconds for which a client keeps its server; 0 where each connection is scheduled
    hash_port   the scheduler `mh` also hashes the source port
    servers     in the order of the kernel's list, where it matters to the scheduler
    """

    ip: str
    port: int
    protocol: str
    scheduler: str = "rr"
    persistent: int = 0
    hash_port: bool = False
    servers: tuple[RealServer, ...] = ()

    @property
    def key(self) -> ServerKey:
        return (self.protocol, self.ip, self.port)

    @property
    def name(self) -> str:
        """`-t 10.96.0.10:80`, as ipvsadm is told which."""
        return f"{_OPTION[self.protocol]} {endpoint(self.ip, self.port)}"

    def __str__(self) -> str:
        """The service and its servers as `ipvsadm-save -n` prints them."""
        return "".join(f"{line}\n" for line in (f"-A {self.settings}", *map(self.added, self.listed)))

    @property
    def listed(self) -> tuple[RealServer, ...]:
        """The servers in the order in which ipvsadm prints them, whichever the kernel's list has: by address and port.

        Source: ipvsadm, libipvs/libipvs.c (`ipvs_cmp_dests`).
        """
        return tuple(sorted(self.servers, key=lambda s: (ip_address(s.ip).packed, s.port)))

    def number(self, server: RealServer) -> int:
        """Which line of that it is, from 1."""
        return self.listed.index(server) + 1

    @property
    def settings(self) -> str:
        """What stands behind `-A ` or `-E `."""
        kept = f" -p {self.persistent}" if self.persistent else ""
        return f"{self.name} -s {self.scheduler}{kept}{' -b mh-port' if self.hash_port else ''}"

    def added(self, server: RealServer) -> str:
        """The line that adds one of its servers."""
        return f"-a {self.name} -r {server.address} -m -w {server.weight}"


def parse(saved: str) -> list[VirtualServer]:
    """What `ipvsadm-save -n` printed, in its order. It sorts real servers; the kernel's list may have another order.

    Raises `ValueError` for a line that it does not print.
    """
    found: list[VirtualServer] = []
    for line in filter(None, saved.splitlines()):
        match line.split():
            case ["-A", option, address, "-s", scheduler, *more]:
                ip, port = _split(address)
                persistent = int(more[more.index("-p") + 1]) if "-p" in more else 0
                found.append(VirtualServer(ip, port, _PROTOCOL[option], scheduler, persistent, "mh-port" in more))
            case ["-a", _, _, "-r", address, "-m", "-w", weight] if found:
                server = RealServer(*_split(address), int(weight))
                found[-1] = msgspec.structs.replace(found[-1], servers=(*found[-1].servers, server))
            case _:
                raise ValueError(f"ipvsadm-save does not print {line!r}")
    return found


def _split(address: str) -> tuple[str, int]:
    ip, _, port = address.rpartition(":")
    return ip.strip("[]"), int(port)
