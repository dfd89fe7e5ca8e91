"""Links, addresses and routes by rtnetlink: the few messages that the lab needs, several in one system call.

    with Links("/run/netns/node-1") as node:
        with node.batch():                                  # sent together, answered together
            node.add_veth("veth-web", "eth0", "/run/netns/web")
            node.set_link("veth-web", up=True)

Written out because it is on the way of every lab's start: pyroute2, which does all of this and far more, takes 125 to
190 ms to import and twice the time for each pod. Source: man 7 rtnetlink; include/uapi/linux/{rtnetlink,if_link}.h.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from labkit.errors import NetlinkError
from labkit.linux.netlink import CREATE, EXCLUSIVE, NESTED, REPLACE, Netlink, attr, attrs, u32

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_GROUP, IFLA_NET_NS_FD = 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER, BRPORT_HAIRPIN = 1, 4
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x2, 0x200
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7
IFF_UP = 0x1
RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST, RTNH_ONLINK = 254, 4, 1, 4
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
GOING = 0x676F  # the group of links that are about to be deleted; all others are in group 0
SIOCGIFINDEX = 0x8933


class Links(Netlink):
    """The links of one network namespace, and what hangs on them."""

    # ---- links

    def add_link(
        self, name: str, kind: str, data: bytes = b"", index: int = 0, mtu: int = 0, up: bool = False, below: int = 0
    ) -> None:
        """A new link of a `kind` that the kernel knows ("bridge", "vxlan", …); `data` are its IFLA_INFO_DATA.

        below: the number of the link that it rests on, where its kind wants one.
        """
        info = attr(IFLA_INFO_KIND, kind.encode()) + (attr(IFLA_INFO_DATA | NESTED, data) if data else b"")
        body = _ifinfo(index, up) + _name(name) + (u32(IFLA_MTU, mtu) if mtu else b"")
        body += u32(IFLA_LINK, below) if below else b""
        self.request(RTM_NEWLINK, CREATE | EXCLUSIVE, body + attr(IFLA_LINKINFO | NESTED, info), f"add {kind} {name}")

    def add_veth(
        self,
        name: str,
        peer: str,
        peer_netns: str | None = None,
        *,
        index: int = 0,
        mac: str = "",
        peer_mac: str = "",
        mtu: int = 0,
    ) -> None:
        """A veth pair, its other end made in `peer_netns`. Both ends are down.

        Give `index` where the peer could get the same number: two equal ones leave a bridge port without carrier for a
        second.
        """
        far = _ifinfo() + _name(peer) + (attr(IFLA_ADDRESS, _mac(peer_mac)) if peer_mac else b"")
        far += u32(IFLA_MTU, mtu) if mtu else b""
        fd = -1
        if peer_netns is not None:
            fd = os.open(peer_netns, os.O_RDONLY | os.O_CLOEXEC)
            far += u32(IFLA_NET_NS_FD, fd)
        info = attr(IFLA_INFO_KIND, b"veth") + attr(IFLA_INFO_DATA | NESTED, attr(VETH_INFO_PEER | NESTED, far))
        near = _ifinfo(index) + _name(name) + (attr(IFLA_ADDRESS, _mac(mac)) if mac else b"")
        near += u32(IFLA_MTU, mtu) if mtu else b""
        body = near + attr(IFLA_LINKINFO | NESTED, info)
        try:
            self.request(RTM_NEWLINK, CREATE | EXCLUSIVE, body, f"add veth {name}", at_once=True)
        finally:
            if fd >= 0:
                os.close(fd)

    def set_link(
        self,
        name: str,
        *,
        up: bool | None = None,
        master: int | None = None,
        mac: str = "",
        hairpin: bool | None = None,
        rename: str = "",
    ) -> None:
        """Change a link: `master` is the bridge's index (0: none), `hairpin` goes for a bridge port."""
        flags = (IFF_UP if up else 0, IFF_UP) if up is not None else (0, 0)
        if rename:
            body = _IFINFO.pack(0, 0, self.index(name), *flags) + _name(rename)
        else:
            body = _IFINFO.pack(0, 0, 0, *flags) + _name(name)
        body += attr(IFLA_ADDRESS, _mac(mac)) if mac else b""
        body += u32(IFLA_MASTER, master) if master is not None else b""
        if hairpin is not None:
            port = attr(IFLA_INFO_SLAVE_DATA | NESTED, attr(BRPORT_HAIRPIN, bytes([hairpin])))
            body += attr(IFLA_LINKINFO | NESTED, attr(IFLA_INFO_SLAVE_KIND, b"bridge") + port)
        self.request(RTM_NEWLINK if hairpin is not None else RTM_SETLINK, 0, body, f"set link {name}")

    def delete_link(self, name: str) -> None:
        self.request(RTM_DELLINK, 0, _ifinfo() + _name(name), f"delete link {name}")

    def delete_links(self, names: Sequence[str]) -> None:
        """Delete links together: the kernel waits once for all of them, which takes it 20 ms and more, not for each."""
        if not names:
            return
        with self.batch():
            for name in names:
                self.request(RTM_SETLINK, 0, _ifinfo() + _name(name) + u32(IFLA_GROUP, GOING), f"group {name}")
        self.request(RTM_DELLINK, 0, _ifinfo() + u32(IFLA_GROUP, GOING), "delete links")

    def index(self, name: str) -> int:
        """The number of an interface of this namespace."""
        try:
            answer = fcntl.ioctl(self._socket, SIOCGIFINDEX, struct.pack("16sI20x", name.encode(), 0))
        except OSError as error:
            raise NetlinkError(f"no interface {name} in {self.path or 'this namespace'}", errno=error.errno) from error
        index: int = struct.unpack("16sI20x", answer)[1]
        return index

    def links(self) -> list[dict[str, Any]]:
        """Every link: index, name, up, carrier, mac, mtu, master, kind."""
        found = []
        for body in self.dump(RTM_GETLINK, _ifinfo()):
            _, _, index, flags, _ = _IFINFO.unpack_from(body)
            a = attrs(body[_IFINFO.size :])
            info = attrs(a.get(IFLA_LINKINFO, b""))
            found.append(
                {
                    "index": index,
                    "name": a[IFLA_IFNAME].rstrip(b"\0").decode(),
                    "up": bool(flags & IFF_UP),
                    "carrier": bool(flags & 0x10000),
                    "mac": a.get(IFLA_ADDRESS, b"").hex(":"),
                    "mtu": int.from_bytes(a[IFLA_MTU], "little"),
                    "master": int.from_bytes(a.get(IFLA_MASTER, b""), "little"),
                    "kind": info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
                }
            )
        return found

    # ---- addresses, routes

    def add_address(self, name: str, address: str, prefix_route: bool = True) -> None:
        """`address` with its prefix length, "10.244.1.5/24"; without `prefix_route` it brings no route.

        Nobody is asked whether he has it: an IPv6 address could be used only a second later.
        """
        flags = (IFA_F_NODAD if ":" in address else 0) | (0 if prefix_route else IFA_F_NOPREFIXROUTE)
        body = self._address(name, address) + (u32(IFA_FLAGS, flags) if flags else b"")
        self.request(RTM_NEWADDR, CREATE | REPLACE, body, f"add address {address} to {name}")

    def delete_address(self, name: str, address: str) -> None:
        """Take `address`, with its prefix length, from a link."""
        self.request(RTM_DELADDR, 0, self._address(name, address), f"delete address {address} of {name}")

    def addresses(self) -> list[dict[str, Any]]:
        """Every address: index of its link, address with prefix length."""
        found = []
        for body in self.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
            _, prefix, _, _, index = _IFADDR.unpack_from(body)
            a = attrs(body[_IFADDR.size :])
            address = ip_address(a.get(IFA_LOCAL, a[IFA_ADDRESS]))
            found.append({"index": index, "address": f"{address}/{prefix}"})
        return found

    def add_route(self, to: str, via: str = "", dev: str = "", src: str = "", onlink: bool = False) -> None:
        """Add or replace a route to a prefix, by gateway (`via`), link (`dev`) or both.

        "default" is IPv4's, or where the gateway is an IPv6 address IPv6's.
        """
        body = self._route(to, via, dev, src, onlink)
        self.request(RTM_NEWROUTE, CREATE | REPLACE, body, f"add route to {to}")

    def routes(self) -> list[dict[str, Any]]:
        """Every route of the main table: to, via, index of its link."""
        found = []
        for body in self.dump(RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, prefix, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(body)
            if table != RT_TABLE_MAIN or kind != RTN_UNICAST:
                continue
            a = attrs(body[_RTMSG.size :])
            size = 4 if family == socket.AF_INET else 16
            via = str(ip_address(a[RTA_GATEWAY])) if RTA_GATEWAY in a else ""
            to = f"{ip_address(a.get(RTA_DST, bytes(size)))}/{prefix}"
            found.append({"to": to, "via": via, "index": int.from_bytes(a.get(RTA_OIF, b""), "little")})
        return found

    def _address(self, name: str, address: str) -> bytes:
        plain, _, bits = address.partition("/")
        packed = packed_of(plain)
        body = _IFADDR.pack(family_of(packed), int(bits or 8 * len(packed)), 0, 0, self.index(name))
        return body + attr(IFA_LOCAL, packed) + attr(IFA_ADDRESS, packed)

    def _route(self, to: str, via: str, dev: str, src: str, onlink: bool) -> bytes:
        every = "::/0" if ":" in via else "0.0.0.0/0"
        packed, bits = prefix_of(every if to == "default" else to)
        scope = SCOPE_UNIVERSE if via else SCOPE_LINK
        flags = RTNH_ONLINK if onlink else 0
        body = _RTMSG.pack(family_of(packed), bits, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST, flags)
        body += attr(RTA_DST, packed)
        body += attr(RTA_GATEWAY, packed_of(via)) if via else b""
        body += u32(RTA_OIF, self.index(dev)) if dev else b""
        return body + (attr(RTA_PREFSRC, packed_of(src)) if src else b"")


def _ifinfo(index: int = 0, up: bool = False) -> bytes:
    flags = IFF_UP if up else 0
    return _IFINFO.pack(0, 0, index, flags, flags)


def _name(name: str) -> bytes:
    return attr(IFLA_IFNAME, name.encode() + b"\0")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def packed_of(address: str) -> bytes:
    """An address in network order. Raises `OSError` for what is no address."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def family_of(packed: bytes) -> int:
    """AF_INET or AF_INET6."""
    return socket.AF_INET if len(packed) == 4 else socket.AF_INET6


@lru_cache(1024)
def prefix_of(text: str) -> tuple[bytes, int]:
    """A prefix's address and length. Raises `ValueError`."""
    net = ip_network(text)
    return net.network_address.packed, net.prefixlen
