"""Sets of addresses in a network namespace, by netlink: what `ipset` shows and changes.

Source: include/uapi/linux/netfilter/ipset/ip_set.h.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from labkit.errors import NetlinkError
from labkit.linux.netlink import CREATE, EXCLUSIVE, attr, attrs
from labkit.linux.nfnetlink import Netfilter, nest, text
from labkit.net.ipset import AddressSet, Element

_SUBSYSTEM = 6 << 8
_CREATE, _DESTROY, _LIST, _ADD, _DEL = (_SUBSYSTEM | command for command in (2, 3, 7, 9, 10))
_PROTOCOL, _NAME, _TYPE, _REVISION, _FAMILY, _DATA, _ENTRIES = 1, 2, 3, 4, 5, 7, 8
_IP, _CIDR, _PORT, _PORT_TO, _PROTO, _LINE, _IP2, _CIDR2 = 1, 3, 4, 5, 7, 9, 20, 21
_HASH_SIZE, _MAX_ELEMENTS = 18, 19
_IN_NETWORK_ORDER = 0x4000
_REVISIONS = {"hash:ip": 4, "hash:ip,port": 5, "hash:ip,port,ip": 5, "hash:ip,port,net": 7, "bitmap:port": 3}
"""Those of Linux 3.18, which every kernel and every `ipset` of today knows."""
_VERSION = attr(_PROTOCOL, b"\6")
_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP, "sctp": socket.IPPROTO_SCTP}
_NAMES = {number: name for name, number in _NUMBERS.items()}


class Sets(Netfilter):
    """Raises `NetlinkError` where the kernel refuses."""

    def create(self, made: AddressSet) -> None:
        """An empty set of its name, kind and family. EEXIST where the name is taken."""
        if made.kind == "bitmap:port":
            data = _short(_PORT, 0) + _short(_PORT_TO, 0xFFFF)
        else:
            data = _long(_HASH_SIZE, made.hash_size) + _long(_MAX_ELEMENTS, made.most)
        family = 0 if made.kind == "bitmap:port" else _family(made)
        body = (
            text(_TYPE, made.kind)
            + attr(_REVISION, bytes([_REVISIONS[made.kind]]))
            + attr(_FAMILY, bytes([family]))
            + nest(_DATA, data)
        )
        self._send(_CREATE, CREATE | EXCLUSIVE, made.name, body, f"create the set {made.name}")

    def destroy(self, name: str) -> None:
        """EBUSY while a rule refers to it."""
        self._send(_DESTROY, 0, name, b"", f"destroy the set {name}")

    def add(self, name: str, element: Element) -> None:
        """EEXIST where it is in there."""
        self._send(_ADD, EXCLUSIVE, name, nest(_DATA, _element(element)), f"add {element} to the set {name}")

    def delete(self, name: str, element: Element) -> None:
        self._send(_DEL, EXCLUSIVE, name, nest(_DATA, _element(element)), f"delete {element} from the set {name}")

    def elements(self, name: str) -> frozenset[Element] | None:
        """What is in a set, None where there is no such set."""
        found: set[Element] = set()
        try:
            for answer in self.dump(_LIST, _header() + _VERSION + text(_NAME, name)):
                inner = attrs(answer[4:]).get(_ENTRIES, b"")
                found.update(_read(attrs(entry)) for entry in _each(inner))
        except NetlinkError as error:
            if error.details["errno"] != errno.ENOENT:
                raise
            return None
        return frozenset(found)

    def _send(self, command: int, flags: int, name: str, body: bytes, what: str) -> None:
        self.request(command, flags, _header() + _VERSION + text(_NAME, name) + body, what)


def _header() -> bytes:
    return bytes([socket.AF_INET, 0, 0, 0])


def _family(made: AddressSet) -> int:
    return socket.AF_INET6 if made.family == "IPv6" else socket.AF_INET


def _element(element: Element) -> bytes:
    body = _address(_IP, element.ip) if element.ip else b""
    body += _short(_PORT, element.port) if element.port else b""
    body += attr(_PROTO, bytes([_NUMBERS[element.protocol]])) if element.protocol else b""
    if element.second:
        address, _, length = element.second.partition("/")
        body += _address(_IP2, address) + (attr(_CIDR2, bytes([int(length)])) if length else b"")
    return body + _long(_LINE, 0)


def _read(found: dict[int, bytes]) -> Element:
    second = _ip(found[_IP2]) if _IP2 in found else ""
    if _CIDR2 in found:
        second += f"/{found[_CIDR2][0]}"
    return Element(
        ip=_ip(found[_IP]) if _IP in found else "",
        protocol=_NAMES[found[_PROTO][0]] if _PROTO in found else "",
        port=int.from_bytes(found.get(_PORT, b""), "big"),
        second=second,
    )


def _ip(nested: bytes) -> str:
    (packed,) = attrs(nested).values()
    return str(ip_address(packed))


def _address(kind: int, ip: str) -> bytes:
    packed = ip_address(ip).packed
    return nest(kind, attr((1 if len(packed) == 4 else 2) | _IN_NETWORK_ORDER, packed))


def _each(data: bytes) -> Iterable[bytes]:
    """The values of attributes of one kind, in their order."""
    at = 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 2], "little")
        yield data[at + 4 : at + size]
        at += (size + 3) & ~3


def _short(kind: int, value: int) -> bytes:
    return attr(kind | _IN_NETWORK_ORDER, value.to_bytes(2, "big"))


def _long(kind: int, value: int) -> bytes:
    return attr(kind | _IN_NETWORK_ORDER, value.to_bytes(4, "big"))
