"""The kernel's IPVS table in a network namespace, by generic netlink: what `ipvsadm` shows and changes.

    with Table("/run/netns/node-1") as table:
        with table.batch():
            table.add(VirtualServer("10.96.0.10", 80, "tcp"))
            table.add_server(server, RealServer("10.244.1.5", 8080))

Source: include/uapi/linux/ip_vs.h.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import msgspec

from labkit.linux.genetlink import Generic
from labkit.linux.netlink import NESTED, attr, attrs, u32
from labkit.net.ipvs import RealServer, VirtualServer

_NEW_SERVICE, _SET_SERVICE, _DEL_SERVICE, _GET_SERVICE = 1, 2, 3, 4
_NEW_DEST, _SET_DEST, _DEL_DEST, _GET_DEST = 5, 6, 7, 8
_SET_CONFIG = 12
_SERVICE, _DEST, _TCP, _TCP_FIN, _UDP = 1, 2, 4, 5, 6
_AF, _PROTOCOL, _ADDR, _PORT, _SCHEDULER, _FLAGS, _TIMEOUT, _NETMASK = 1, 2, 3, 4, 6, 7, 8, 9
_DEST_ADDR, _DEST_PORT, _METHOD, _WEIGHT, _UPPER, _LOWER, _ACTIVE, _INACTIVE = 1, 2, 3, 4, 5, 6, 7, 8
_DEST_AF = 11
_PERSISTENT, _SECOND_OPTION = 0x1, 0x10  # IP_VS_SVC_F_PERSISTENT, IP_VS_SVC_F_SCHED2: of `mh`, to hash the port
_MASQUERADING = 0
_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_NAMES = {number: name for name, number in _NUMBERS.items()}


class Table(Generic):
    """Virtual servers and their real ones. Raises `NetlinkError` where the kernel refuses, or has no IPVS."""

    def __init__(self, path: str | None) -> None:
        super().__init__(path, "IPVS")

    def add(self, virtual: VirtualServer) -> None:
        """A virtual server without its real ones. EEXIST where it is there, ENOENT for an unknown scheduler."""
        self.command(_NEW_SERVICE, _service(virtual, full=True), f"add virtual server {virtual.settings}")

    def change(self, virtual: VirtualServer) -> None:
        """Scheduler and persistence of one that is there; its real servers and connections stay."""
        self.command(_SET_SERVICE, _service(virtual, full=True), f"change virtual server {virtual.settings}")

    def delete(self, virtual: VirtualServer) -> None:
        """With its real servers."""
        self.command(_DEL_SERVICE, _service(virtual), f"delete virtual server {virtual.name}")

    def add_server(self, virtual: VirtualServer, server: RealServer) -> None:
        """The newest comes first in the kernel's list, which the schedulers walk."""
        self._server(_NEW_DEST, "add", virtual, server)

    def change_server(self, virtual: VirtualServer, server: RealServer) -> None:
        """Its weight."""
        self._server(_SET_DEST, "change", virtual, server)

    def delete_server(self, virtual: VirtualServer, server: RealServer) -> None:
        self._server(_DEL_DEST, "delete", virtual, server)

    def set_timeouts(self, tcp: int = 0, tcp_fin: int = 0, udp: int = 0) -> None:
        """Seconds for which an idle connection is kept, as `ipvsadm --set`; 0 leaves one as it is."""
        body = u32(_TCP, tcp) + u32(_TCP_FIN, tcp_fin) + u32(_UDP, udp)
        self.command(_SET_CONFIG, body, f"set time-outs {tcp} {tcp_fin} {udp}")

    def virtual_servers(self) -> list[VirtualServer]:
        """All of them with their real servers, these in the order of the kernel's list."""
        found = [_virtual(attrs(entry[_SERVICE])) for entry in self.listed(_GET_SERVICE)]
        return [self._with_servers(virtual) for virtual in found]

    def servers(self, virtual: VirtualServer) -> tuple[RealServer, ...]:
        """The real servers of one; ESRCH where it is not there."""
        entries = self.listed(_GET_DEST, attr(_SERVICE | NESTED, _identity(virtual)))
        return tuple(_real(attrs(entry[_DEST]), virtual) for entry in entries)

    def _with_servers(self, virtual: VirtualServer) -> VirtualServer:
        return msgspec.structs.replace(virtual, servers=self.servers(virtual))

    def _server(self, command: int, verb: str, virtual: VirtualServer, server: RealServer) -> None:
        body = attr(_DEST_ADDR, _packed(server.ip)) + attr(_DEST_PORT, server.port.to_bytes(2, "big"))
        body += _u16(_DEST_AF, _family(server.ip))
        body += u32(_METHOD, _MASQUERADING) + u32(_WEIGHT, server.weight) + u32(_UPPER, 0) + u32(_LOWER, 0)
        what = f"{verb} real server {server.address} of {virtual.name}"
        self.command(command, _service(virtual) + attr(_DEST | NESTED, body), what)


def _service(virtual: VirtualServer, full: bool = False) -> bytes:
    body = _identity(virtual)
    if full:
        flags = (_PERSISTENT if virtual.persistent else 0) | (_SECOND_OPTION if virtual.hash_port else 0)
        six = ":" in virtual.ip
        body += attr(_SCHEDULER, virtual.scheduler.encode() + b"\0")
        body += attr(_FLAGS, struct.pack("=II", flags, 0xFFFFFFFF))
        body += u32(_TIMEOUT, virtual.persistent) + u32(_NETMASK, 128 if six else 0xFFFFFFFF)
    return attr(_SERVICE | NESTED, body)


def _identity(virtual: VirtualServer) -> bytes:
    body = _u16(_AF, _family(virtual.ip)) + _u16(_PROTOCOL, _NUMBERS[virtual.protocol])
    return body + attr(_ADDR, _packed(virtual.ip)) + attr(_PORT, virtual.port.to_bytes(2, "big"))


def _virtual(found: dict[int, bytes]) -> VirtualServer:
    (flags,) = struct.unpack_from("=I", found[_FLAGS])
    return VirtualServer(
        ip=_text(found[_ADDR], found[_AF]),
        port=int.from_bytes(found.get(_PORT, b""), "big"),
        protocol=_NAMES[int.from_bytes(found[_PROTOCOL], "little")],
        scheduler=found[_SCHEDULER].rstrip(b"\0").decode(),
        persistent=int.from_bytes(found[_TIMEOUT], "little") if flags & _PERSISTENT else 0,
        hash_port=bool(flags & _SECOND_OPTION),
    )


def _real(found: dict[int, bytes], virtual: VirtualServer) -> RealServer:
    numbers = (int.from_bytes(found[kind], "little") for kind in (_WEIGHT, _ACTIVE, _INACTIVE))
    ip = _text(found[_DEST_ADDR], _family(virtual.ip).to_bytes(2, "little"))
    return RealServer(ip, int.from_bytes(found[_DEST_PORT], "big"), *numbers)


def _family(ip: str) -> int:
    return socket.AF_INET6 if ":" in ip else socket.AF_INET


def _packed(ip: str) -> bytes:
    """The kernel's union of both kinds of addresses."""
    return ip_address(ip).packed.ljust(16, b"\0")


def _text(packed: bytes, family: bytes) -> str:
    return str(ip_address(packed[: 4 if int.from_bytes(family, "little") == socket.AF_INET else 16]))


def _u16(kind: int, value: int) -> bytes:
    return attr(kind, struct.pack("=H", value))
