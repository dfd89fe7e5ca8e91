"""The data centre of a lab: the site's plan as a running Mininet network, and the places in it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from labkit.cni import routes
from labkit.linux import netns, views
from labkit.linux.underlay import LabLink, Topo, Underlay
from labkit.net.place import Place, PlaceKind
from labkit.net.topology import (
    CLOUD_GATEWAY,
    CLOUD_GATEWAY_6,
    CLOUD_IP,
    CLOUD_IP_6,
    INTERNET_IP,
    INTERNET_IP_6,
    ROUTER_IP,
    ROUTER_IP_6,
    Site,
    balanced,
)

CLOUD = "cloud"
ICMP = {"icmp_ratelimit": "0", "icmp_msgs_per_sec": "100000", "icmp_msgs_burst": "100000"}


class DataCenter:
    """Builds the site, with the routes between its nodes' pods; `places` by name, those of nodes in `machines` as well,
    `links` as plain facts for pictures.

                      internet ── router ──┬── s-a ── node-1, node-3, …
                   203.0.113.10            └── s-b ── node-2, …

    link: bandwidth ("bw", Mbit/s) and delay ("delay", "5ms") of the links between switches and router, as Mininet
    takes them.
    """

    def __init__(self, site: Site, link: dict[str, Any]) -> None:
        self.site = site
        self.net = Underlay(_topo(site, link))
        self.net.start()
        for name in ("router", *(m.name for m in site.machines)):
            with netns.entered(self.net[name].netns):
                _route(site.dual)
        if site.dual:
            self._add_ipv6()
        for name, ways in routes.plan(site).items():
            routes.apply(self.net[name].links, ways)
        self.places = {p.name: p for p in self._places()}
        self.machines = {m.name: self.places[m.name] for m in site.machines}
        self.machine_links = {m.name: self.net[m.name].links for m in site.machines}
        self.links = [_facts(link) for link in self.net.links]
        views.name_machines(_hosts(self.places.values()))

    def _add_ipv6(self) -> None:
        """The machines' IPv6 addresses beside those that Mininet gave, and their ways out."""
        links = self.net["router"].links
        for zone in self.site.zones:
            links.add_address(f"zone-{zone.name}", f"{zone.gateway6}/64")
        links.add_address("outside", f"{ROUTER_IP_6}/64")
        ends = [("internet", INTERNET_IP_6, ROUTER_IP_6)]
        for name, address, gateway in [*ends, *((m.name, m.address6, m.gateway6) for m in self.site.machines)]:
            host = self.net[name].links
            host.add_address("eth0", f"{address}/64")
            host.add_route("default", via=gateway)

    @property
    def balanced(self) -> dict[str, str]:
        """Where load balancers have their addresses, by IP family."""
        return balanced(self.site.dual)

    def cloud(self) -> Place:
        """The cloud's own machine, beside the router. It is there from the first call on."""
        if CLOUD not in self.places:
            host = self.net.addHost(CLOUD, ip=None, ipv6=self.site.dual)
            ends = {"params1": {"ip": f"{CLOUD_IP}/24"}, "params2": {"ip": f"{CLOUD_GATEWAY}/24"}}
            link = self.net.addLink(CLOUD, "router", intfName1="eth0", intfName2=CLOUD, **ends)
            host.setDefaultRoute(f"via {CLOUD_GATEWAY}")
            addresses: tuple[str, ...] = (CLOUD_IP,)
            if self.site.dual:
                addresses += (CLOUD_IP_6,)
                self.net["router"].links.add_address(CLOUD, f"{CLOUD_GATEWAY_6}/64")
                host.links.add_address("eth0", f"{CLOUD_IP_6}/64")
                host.links.add_route("default", via=CLOUD_GATEWAY_6)
            self.places[CLOUD] = Place(CLOUD, "outside", host.netns, CLOUD, addresses=addresses)
            self.links.append(_facts(link))
        return self.places[CLOUD]

    def cut(self, name: str, off: bool) -> None:
        """Pull a node's cable at its switch, or put it back: its interfaces and routes stay as they are."""
        cable = next(link for link in self.net.links if link.intf1.node.name == name)
        cable.intf2.node.links.set_link(cable.intf2.name, up=not off)

    def _places(self) -> list[Place]:
        zone_of = {m.name: m for m in self.site.machines}
        more: dict[str, tuple[str, ...]] = {m.name: (m.address6,) for m in self.site.machines if m.address6}
        if self.site.dual:
            more["internet"] = (INTERNET_IP_6,)
            more["router"] = (ROUTER_IP_6, *(zone.gateway6 for zone in self.site.zones))
        found = []
        for host in self.net.hosts:
            addresses = (*(i.IP() for i in host.intfList() if i.IP()), *more.get(host.name, ()))
            if machine := zone_of.get(host.name):
                found.append(Place(host.name, "node", host.netns, host.name, host.name, machine.zone, addresses))
            else:
                kind: PlaceKind = "router" if host.name == "router" else "outside"
                found.append(Place(host.name, kind, host.netns, host.name, addresses=addresses))
        zones = {z.switch: z.name for z in self.site.zones}
        found += [Place(s.name, "switch", s.netns, s.name, zone=zones[s.name]) for s in self.net.switches]
        return found


def _hosts(places: Iterable[Place]) -> str:
    """What machines know without DNS: each other. Many a program asks for the name of the machine that it runs on."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{address}\t{place.name}" for place in places for address in place.addresses]
    return "".join(f"{line}\n" for line in lines)


def _facts(link: LabLink) -> dict[str, str]:
    return {
        "a": link.intf1.node.name,
        "a_interface": link.intf1.name,
        "b": link.intf2.node.name,
        "b_interface": link.intf2.name,
    }


def _topo(site: Site, link: dict[str, Any]) -> Topo:
    topo = Topo()
    dual = site.dual
    topo.addHost("router", ip=None, ipv6=dual)
    topo.addHost("internet", ipv6=dual, ip=f"{INTERNET_IP}/24", defaultRoute=f"via {ROUTER_IP}")
    topo.addLink("internet", "router", intfName1="eth0", intfName2="outside", params2={"ip": f"{ROUTER_IP}/24"})
    for zone in site.zones:
        topo.addSwitch(zone.switch)
        port = {"ip": f"{zone.gateway}/24", **link}
        topo.addLink("router", zone.switch, intfName1=f"zone-{zone.name}", params1=port, params2=dict(link))
    switches = {zone.name: zone.switch for zone in site.zones}
    for m in site.machines:
        topo.addHost(m.name, ipv6=dual, ip=f"{m.address}/24", defaultRoute=f"via {m.gateway}")
        topo.addLink(m.name, switches[m.zone], intfName1="eth0")
    return topo


def _route(dual: bool) -> None:
    """Let this namespace forward packets, answer each REJECT, and send no redirects.

    The kernel limits the ICMP messages to one address, and to all of them, so that most requests to a Service without
    endpoints would time out instead of being refused. Redirects count too: a pod that reaches itself by its Service
    leaves its node by the interface it came from, and would get one.
    """
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    if dual:
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
    for setting, value in ICMP.items():
        with suppress(OSError):  # before Linux 6.11 the second and third are the host's
            Path("/proc/sys/net/ipv4", setting).write_text(value)
    for interface in ("all", "default", *(name for _, name in socket.if_nameindex())):
        Path(f"/proc/sys/net/ipv4/conf/{interface}/send_redirects").write_text("0")
