"""One node's kernel in ipvs mode: reads what it has, takes a `Step`. Runs in the calling thread.

Source: Kubernetes v1.34, pkg/proxy/ipvs/proxier.go and netlink_linux.go.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import TypeVar

import msgspec

from labkit.errors import NetlinkError, RuleError
from labkit.linux import iptables, netns
from labkit.linux.addresses import AddressWatch
from labkit.linux.ipset import Sets
from labkit.linux.iptables import Variant
from labkit.linux.ipvs import Table
from labkit.linux.netlink import Netlink
from labkit.linux.rtnetlink import Links
from labkit.net.ipvs import SCHEDULERS, VirtualServer
from labkit.net.rules import Family, Ruleset, parse
from labkit.proxy.ipvs import sets
from labkit.proxy.ipvs.graceful import Leaving
from labkit.proxy.ipvs.ledger import State
from labkit.proxy.ipvs.rules import is_own
from labkit.proxy.ipvs.step import DEVICE, ServerStep, Step
from labkit.proxy.restore import own_part
from labkit.sandbox import modules

_VS, _ALL = Path("/proc/sys/net/ipv4/vs"), Path("/proc/sys/net/ipv4/conf/all")
SETTINGS = {
    _VS / "conntrack": "1",  # masquerading goes by connection tracking
    _VS / "expire_nodest_conn": "1",  # a connection whose server has gone ends with its next packet
    _VS / "expire_quiescent_template": "1",  # a client's persistence does not outlive its server
    Path("/proc/sys/net/ipv4/ip_forward"): "1",
}
STRICT_ARP = {_ALL / "arp_ignore": "1", _ALL / "arp_announce": "2"}
"""No ARP request for an address that is on kube-ipvs0 is answered, and none is sent with it as the source."""
MODULES = (
    "dummy", "ip_set_bitmap_port", "ip_set_hash_ip", "ip_set_hash_ipport", "ip_set_hash_ipportip",
    "ip_set_hash_ipportnet", "ip_vs", "xt_ipvs", "xt_physdev", "xt_set",
)  # fmt: skip
_TOGETHER = 100  # requests in one go: their answers must fit the socket's receive buffer

T = TypeVar("T")


class Found(msgspec.Struct, frozen=True):
    """What a node has of this mode. missing: the sets that it lacks, by their IPv4 names."""

    state: State = State()
    missing: tuple[str, ...] = ()
    rules: Ruleset = Ruleset()


class NodeTables:
    """IPVS, ipset, iptables and kube-ipvs0 in the network namespace at `path`.

    excluded: prefixes whose virtual servers are somebody else's.
    """

    def __init__(self, path: str, variant: Variant, family: Family, excluded: Iterable[str] = ()) -> None:
        self.path, self.variant, self.family = path, variant, family
        self.leaving = Leaving()
        self._watch: AddressWatch | None = None
        self._own: frozenset[str] = frozenset()
        self._device_index = 0
        self._excluded = tuple(ip_network(prefix) for prefix in excluded)

    def prepare(self, scheduler: str, strict_arp: bool, timeouts: tuple[int, int, int]) -> None:
        """Settings, the device, and a try of the scheduler. Raises `RuleError` where IPVS cannot be used."""
        modules.provide(*MODULES, f"ip_vs_{scheduler}")
        try:
            with Table(self.path) as table:
                # At ports of their own: the modes of both families may start side by side.
                probe = VirtualServer("198.51.100.0", 20006 if self.family == "IPv6" else 20000, "tcp", scheduler)
                table.add(probe)
                table.delete(probe)
                if any(timeouts):
                    table.set_timeouts(*timeouts)
        except NetlinkError as error:
            known = f". The schedulers are {', '.join(SCHEDULERS)}" if scheduler not in SCHEDULERS else ""
            raise RuleError(f"can't use the IPVS proxier: {error.message}{known}", **error.details) from error
        with netns.entered(self.path):
            for file, value in {**SETTINGS, **(STRICT_ARP if strict_arp else {})}.items():
                file.write_text(value)
        with Links(self.path) as links:
            self._device(links)

    def found(self) -> Found:
        """What there is of this mode."""
        entries, missing = set(), []
        with Sets(self.path) as kernel:
            for base in sets.NAMES:
                elements = kernel.elements(sets.name(base, self.family))
                if elements is None:
                    missing.append(base)
                entries |= {(base, element) for element in elements or ()}
        with Table(self.path) as table:
            servers = {s.key: self.leaving.without(s) for s in table.virtual_servers() if self._ours(s.ip)}
        saved = parse(iptables.save(self.path, self.variant, "", self.family), self.family)
        state = State(servers, frozenset(self._bound()), frozenset(entries))
        return Found(state, tuple(missing), own_part(saved, is_own))

    def addresses(self) -> frozenset[str]:
        """The node's own, but for those that mean the machine itself, and those of this mode.

        Listed anew only where one came or went: this mode alone may have thousands.
        """
        if self._watch is None:
            self._watch = AddressWatch(self.path)
        elif not self._watch.moved(self._device_index):
            return self._own
        self._own = frozenset(self._addresses(bound=False))
        return self._own

    def take(self, step: Step) -> None:
        """Do what the step says. Raises `NetlinkError` or `RuleError` at the first refusal."""
        with Sets(self.path) as kernel, Table(self.path) as table, Links(self.path) as links:
            _each(kernel, step.created, kernel.create)
            _each(kernel, step.entered, lambda e: kernel.add(sets.name(e[0], self.family), e[1]))
            _each(table, step.servers, lambda one: self._serve(table, one))
            if step.rules:
                iptables.restore(self.path, step.rules, self.variant, self.family)
            if step.bound:
                self._device(links)
            _each(links, step.bound, lambda ip: links.add_address(DEVICE, self._host(ip)))
            _each(links, step.unbound, lambda ip: links.delete_address(DEVICE, self._host(ip)))
            _each(kernel, step.left, lambda e: kernel.delete(sets.name(e[0], self.family), e[1]))
            _each(table, step.servers, lambda one: self._end(table, one))

    def reap(self) -> None:
        """Delete the real servers that were leaving and have no connection left."""
        with Table(self.path) as table:
            self.leaving.reap(table)

    def clear(self) -> None:
        """Destroy the sets and the device; all else was taken back by a step before."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        with Sets(self.path) as kernel, Links(self.path) as links:
            for base in sets.NAMES:
                _unless_missing(lambda name: kernel.destroy(name), sets.name(base, self.family))
            _unless_missing(links.delete_link, DEVICE)

    def _serve(self, table: Table, one: ServerStep) -> None:
        """Servers last in the list first, as the kernel puts each new one in front."""
        if one.after is None:
            return
        if one.before is None:
            self.leaving.forget(one.after)
            table.add(one.after)
        elif one.resettled:
            table.change(one.after)
        for server in reversed(one.added):
            if self.leaving.returns(one.after, server):
                table.delete_server(one.after, server)
            table.add_server(one.after, server)
        for server in one.reweighted:
            table.change_server(one.after, server)

    def _end(self, table: Table, one: ServerStep) -> None:
        if one.after is not None:
            self.leaving.leave(table, one.after, one.removed)
        elif one.before is not None:
            self.leaving.forget(one.before)
            table.delete(one.before)

    def _bound(self) -> Iterator[str]:
        return self._addresses(bound=True)

    def _addresses(self, bound: bool) -> Iterator[str]:
        with Links(self.path) as links:
            device = next((link["index"] for link in links.links() if link["name"] == DEVICE), 0)
            self._device_index = device
            for one in links.addresses():
                ip = ip_interface(one["address"]).ip
                plain = not ip.is_loopback and not ip.is_link_local and (ip.version == 6) == (self.family == "IPv6")
                if plain and (one["index"] == device) == bound:
                    yield str(ip)

    def _device(self, links: Links) -> None:
        """It stays down, as on a real node: the kernel takes its addresses for the node's own all the same."""
        try:
            links.add_link(DEVICE, "dummy")
        except NetlinkError as error:
            if error.details["errno"] != errno.EEXIST:
                raise

    def _ours(self, ip: str) -> bool:
        address = ip_address(ip)
        return (address.version == 6) == (self.family == "IPv6") and not any(address in p for p in self._excluded)

    def _host(self, ip: str) -> str:
        return f"{ip}/{128 if self.family == 'IPv6' else 32}"


def _each(socket: Netlink, items: Iterable[T], ask: Callable[[T], None]) -> None:
    """Ask for each item, many in one go."""
    items = list(items)
    for start in range(0, len(items), _TOGETHER):
        with socket.batch():
            for item in items[start : start + _TOGETHER]:
                ask(item)


def _unless_missing(delete: Callable[[str], None], name: str) -> None:
    try:
        delete(name)
    except NetlinkError as error:
        if error.details["errno"] not in (errno.ENOENT, errno.ENODEV):
            raise
