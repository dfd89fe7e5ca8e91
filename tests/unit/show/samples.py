"""Paths and topologies to draw, as the tracer and the lab give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.net.packet import Packet
from labkit.net.path import Hop, PacketPath, Rewrite, RuleHit
from labkit.net.place import Place

SEP = "KUBE-SEP-X7EXRIWZ4B4O5WQG"
CLIENT, SERVICE, SERVER = "10.244.1.5", "10.96.12.7", "10.244.3.7"
Seen = tuple[str, str, str, str]  # place, kind, interface, direction

CROSS_ZONE: list[Seen] = [
    ("default/productpage-v1-6b746f74dc-9stvs", "pod", "eth0", "out"),
    ("node-1", "node", "veth5f0c2a9be1", "in"),
    ("node-1", "node", "cni0", "in"),
    ("node-1", "node", "eth0", "out"),
    ("s-a", "switch", "s-a-eth2", "in"),
    ("s-a", "switch", "s-a-eth1", "out"),
    ("router", "router", "eth0", "in"),
    ("router", "router", "eth1", "out"),
    ("s-b", "switch", "s-b-eth1", "in"),
    ("s-b", "switch", "s-b-eth2", "out"),
    ("node-3", "node", "eth0", "in"),
    ("node-3", "node", "cni0", "out"),
    ("node-3", "node", "veth91d03bb7c4", "out"),
    ("default/reviews-v3-59476c6bb5-qkz9j", "pod", "eth0", "in"),
]


def hops(seen: Sequence[Seen], packets: Mapping[int, Packet]) -> tuple[Hop, ...]:
    """Hops with the packet given for their number, or else for the nearest earlier one."""
    found: list[Hop] = []
    for number, (place, kind, interface, direction) in enumerate(seen):
        packet = packets.get(number) or found[-1].packet
        found.append(Hop(place, kind, interface, direction, packet, number * 1000))  # type: ignore[arg-type]
    return tuple(found)


def back(seen: Sequence[Seen]) -> list[Seen]:
    """The same interfaces travelled the other way."""
    turned = {"in": "out", "out": "in"}
    return [(place, kind, interface, turned[direction]) for place, kind, interface, direction in reversed(seen)]


def rule(chain: str = SEP, number: int = 2, place: str = "node-1") -> RuleHit:
    text = f"-A {chain} -p tcp -m tcp -j DNAT --to-destination {SERVER}:9080"
    return RuleHit(place, "nat", chain, number, text)


def service_path(seen: Sequence[Seen] = CROSS_ZONE, dnat_before: int = 2) -> PacketPath:
    """A request to a ClusterIP whose address is rewritten before hop `dnat_before`, and the reply by the same way."""
    before = Packet(CLIENT, SERVICE, "TCP", 41000, 9080)
    after = Packet(CLIENT, SERVER, "TCP", 41000, 9080)
    hit = rule(place=seen[dnat_before][0])
    return PacketPath(
        source=seen[0][0],
        target="http://reviews:9080",
        packet=before,
        request=hops(seen, {0: before, dnat_before: after}),
        reply=hops(back(seen), {0: after.reversed(), len(seen) - dnat_before: before.reversed()}),
        rules=(RuleHit(hit.place, "nat", "KUBE-SERVICES", 3, "-A KUBE-SERVICES …"), hit),
        rewrites=(Rewrite(hit.place, "PREROUTING", "DNAT", before, after, hit.text),),
        conntrack=(),
        lost=0,
        outcome="200",
    )


def hairpin_path() -> PacketPath:
    """A pod that meets itself by its Service: DNAT and masquerade between the same two hops."""
    pod = "shop/web-7d4b9cdf6-x8k2p"
    seen: list[Seen] = [(pod, "pod", "eth0", "out"), ("node-1", "node", "veth0a1b2c3d", "in"),
                        ("node-1", "node", "veth0a1b2c3d", "out"), (pod, "pod", "eth0", "in")]  # fmt: skip
    first = Packet(CLIENT, SERVICE, "TCP", 41000, 80)
    second = Packet(CLIENT, CLIENT, "TCP", 41000, 8080)
    third = Packet("10.244.1.1", CLIENT, "TCP", 55123, 8080)
    masquerade = RuleHit("node-1", "nat", "KUBE-POSTROUTING", 3, "-A KUBE-POSTROUTING -j MASQUERADE --random-fully")
    return PacketPath(
        source=pod,
        target="http://web",
        packet=first,
        request=hops(seen, {0: first, 2: third}),
        reply=hops(back(seen), {0: third.reversed(), 2: first.reversed()}),
        rules=(rule(), masquerade),
        rewrites=(
            Rewrite("node-1", "PREROUTING", "DNAT", first, second, rule().text),
            Rewrite("node-1", "POSTROUTING", "SNAT", second, third, masquerade.text),
        ),
        conntrack=(),
        lost=0,
        outcome="200",
    )


def short_path(count: int, outcome: str = "200", lost: int = 0) -> PacketPath:
    """The first `count` hops of the long way without any rewriting; a reply only where the outcome is 200."""
    packet = Packet(CLIENT, SERVER, "TCP", 41000, 9080)
    seen = CROSS_ZONE[:count]
    reply = hops(back(seen), {0: packet.reversed()}) if outcome == "200" and count else ()
    request = hops(seen, {0: packet}) if count else ()
    return PacketPath("default/client", "x", packet, request, reply, (), (), (), lost, outcome)


def node_path() -> PacketPath:
    """A request of a node itself: rewritten in OUTPUT, before the first interface."""
    seen: list[Seen] = [("node-1", "node", "eth0", "out"), ("node-2", "node", "eth0", "in"),
                        ("node-2", "node", "veth1", "out"), ("default/web-0", "pod", "eth0", "in")]  # fmt: skip
    before = Packet("172.18.1.11", SERVICE, "UDP", 5000, 53)
    after = Packet("172.18.1.11", SERVER, "UDP", 5000, 53)
    return PacketPath(
        source="node-1",
        target="udp",
        packet=before,
        request=hops(seen, {0: after}),
        reply=hops(back(seen), {0: after.reversed()}),
        rules=(),
        rewrites=(Rewrite("node-1", "OUTPUT", "DNAT", before, after, f"{SEP}:rule:2"),),
        conntrack=(),
        lost=3,
        outcome="200",
    )


def topology(nodes: int = 3, pods: int = 30, long_names: bool = True) -> dict[str, Any]:
    """Nodes over two zones behind a router, with pods dealt out in turn."""
    zones = "ab" if nodes > 1 else "a"
    places = [
        Place("internet", "outside", "/run/netns/internet", addresses=("203.0.113.10",)),
        Place("router", "router", "/run/netns/router", addresses=("203.0.113.1", "172.18.1.1", "172.18.2.1")),
    ]
    links: list[dict[str, Any]] = [
        {"a": "router", "a_interface": "eth2", "b": "internet", "b_interface": "eth0", "delay_ms": 20},
    ]
    for i, zone in enumerate(zones):
        links.append({"a": "router", "a_interface": f"eth{i}", "b": f"s-{zone}", "b_interface": f"s-{zone}-eth1",
                      "bandwidth_mbit": 100, "delay_ms": 2})  # fmt: skip
    for n in range(1, nodes + 1):
        zone = zones[(n - 1) * len(zones) // nodes]
        places.append(Place(f"node-{n}", "node", "", node=f"node-{n}", zone=zone, addresses=(f"172.18.{n}.1{n}",)))
        links.append({"a": f"node-{n}", "a_interface": "eth0", "b": f"s-{zone}", "b_interface": f"s-{zone}-eth{n + 1}"})
    for p in range(pods):
        node = p % nodes + 1
        name = f"bookinfo/productpage-v1-6b746f74dc-{p:05d}" if long_names and p % 3 == 0 else f"default/web-{p}"
        address = f"10.244.{node}.{p + 2}"
        places.append(Place(name, "pod", "", node=f"node-{node}", addresses=(address,)))
    return {"places": places, "links": links}


class Objects:
    """A lab's objects as far as pictures ask for them: some Services, and the slices of `web`."""

    def __init__(self, services: Mapping[str, dict[str, Any]], slices: Sequence[dict[str, Any]]) -> None:
        self.services, self.slices = services, slices

    def get(self, what: str, namespace: str | None = "default") -> Any:
        return self.services[what.removeprefix("svc/")]

    def objects(self, kind: str, namespace: str | None = "default") -> list[dict[str, Any]]:
        return [*self.slices] if kind == "EndpointSlice" else []


def objects(*sizes: int, suffix: str = "") -> Objects:
    """Services of all types, and slices of `web` with so many endpoints each; the first endpoint is terminating."""

    def service(name: str, **spec: Any) -> dict[str, Any]:
        return {"metadata": {"name": name}, "spec": {"clusterIP": "10.96.0.7", "type": "ClusterIP", **spec}}

    balancer = service("lb", type="LoadBalancer", ports=[{"port": 80, "nodePort": 30081}])
    balancer["status"] = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
    services = [
        service("web"),
        service("np", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]),
        balancer,
        service("headless", clusterIP="None"),
        {"metadata": {"name": "ext"}, "spec": {"type": "ExternalName", "externalName": "pay.example.com"}},
    ]
    ends = iter(range(1, sum(sizes) + 1))
    slices = [
        {
            "metadata": {"name": f"web-{i}{suffix}", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"port": 8080}],
            "endpoints": [endpoint(next(ends), suffix) for _ in range(size)],
        }
        for i, size in enumerate(sizes)
    ]
    other = {"metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}}, "endpoints": [endpoint(999)]}
    return Objects({s["metadata"]["name"]: s for s in services}, [*reversed(slices), other])


def endpoint(number: int, suffix: str = "") -> dict[str, Any]:
    first = number == 1
    return {
        "addresses": [f"10.244.{number % 3 + 1}.{number // 3 + 2}"],
        "conditions": {"ready": False, "serving": True, "terminating": True} if first else {},
        "targetRef": {"kind": "Pod", "name": f"web-{number}{suffix}"},
        "nodeName": f"node-{number % 3 + 1}",
        "zone": "ab"[number % 2],
        "hints": {"forZones": [{"name": "ab"[number % 2]}]},
    }
