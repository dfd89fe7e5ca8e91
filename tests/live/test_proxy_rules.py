"""kube-proxy's rules in the kernel: what was planned is what `iptables-save` shows, however it came about."""

import asyncio
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from inside import NFT, VARIANTS, in_sandbox

from labkit.api.objects import EndpointSlice, Node, Service, raw, view
from labkit.errors import RuleError
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.net.rules import BUILT_IN, Ruleset, parse
from labkit.proxy.config import ProxyConfig
from labkit.proxy.iptables.mode import IptablesMode
from labkit.proxy.iptables.names import port_hash
from labkit.proxy.iptables.plan import LARGE_CLUSTER, plan
from labkit.proxy.mode import View, seen
from labkit.proxy.model import PortKey

SERVICE = "kubernetes.io/service-name"
NODE = view(
    {"metadata": {"name": "node-1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.1.2"}]}}, Node
)


def service(number: int, kind: str = "ClusterIP", **spec: object) -> Service:
    spec = {
        "type": kind,
        "clusterIP": f"10.96.1.{number}",
        "ports": [{"name": "http", "port": 80, "nodePort": 30000 + number if kind != "ClusterIP" else 0}],
        **spec,
    }
    ingress = [{"ip": f"192.0.2.{number}"}] if kind == "LoadBalancer" else []
    meta = {"namespace": "shop", "name": f"web-{number}"}
    return view({"metadata": meta, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}, Service)


def endpoint_slice(number: int, ends: list[tuple[int, str]]) -> EndpointSlice:
    """`ends`: last byte of the address, and the node."""
    meta = {
        "namespace": "shop",
        "name": f"web-{number}-1",
        "labels": {SERVICE: f"web-{number}"},
    }
    return view(
        {
            "metadata": meta,
            "endpoints": [{"addresses": [f"10.244.1.{byte}"], "nodeName": node} for byte, node in ends],
            "ports": [{"name": "http", "port": 8080}],
        },
        EndpointSlice,
    )


EVERY_KIND = [
    service(1),
    service(2, "NodePort", sessionAffinity="ClientIP"),
    service(3, "NodePort", externalTrafficPolicy="Local", externalIPs=["198.51.100.3"]),
    service(4, "LoadBalancer", loadBalancerSourceRanges=["0.0.0.0/0", "172.18.1.9/24"]),
    service(5, "LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30905),
    service(6, internalTrafficPolicy="Local"),
    service(7),
    service(8, ports=[{"name": "http", "port": 53, "protocol": p} for p in ("UDP", "SCTP")]),
]
THEIR_SLICES = [endpoint_slice(n, [(n, "node-1"), (n + 10, "node-2"), (n + 20, "")]) for n in (1, 2, 4, 8)] + [
    endpoint_slice(n, [(n, "node-2")]) for n in (3, 5, 6)
]


def in_kernel(path: str, variant: Variant) -> Ruleset:
    return parse(iptables.save(path, variant))


def same(found: Ruleset, wanted: Ruleset) -> bool:
    """Equal but for empty built-in chains, which the kernel always has, and the order of the tables."""

    def chains(rules: Ruleset) -> dict[tuple[str, str], list[str]]:
        return {
            (t.name, c.name): [r.text for r in c.rules]
            for t in rules.tables
            for c in t.chains
            if c.rules or c.name not in BUILT_IN.get(t.name, ())
        }

    return chains(found) == chains(wanted)


@VARIANTS
@in_sandbox
async def test_kernel_shows_what_was_planned_character_by_character(variant: str) -> None:
    path, chosen = netns.create("node-1"), Variant(variant)
    proxier = IptablesMode(path, variant=chosen)
    await proxier.start()
    await proxier.sync(seen(EVERY_KIND, THEIR_SLICES, NODE), None)
    assert same(in_kernel(path, chosen), plan(seen(EVERY_KIND, THEIR_SLICES, NODE)))
    assert await proxier.sync(seen(EVERY_KIND[::-1], THEIR_SLICES[::-1], NODE), None) == ""
    with netns.entered(path):
        assert Path("/proc/sys/net/ipv4/conf/all/route_localnet").read_text() == "1\n"


@VARIANTS
@in_sandbox
async def test_pods_told_by_their_interface(variant: str) -> None:
    path, chosen = netns.create("node-1"), Variant(variant)
    config = ProxyConfig(cluster_cidr="", local_interface="veth+")
    mode = IptablesMode(path, config, chosen)
    view = seen(EVERY_KIND, THEIR_SLICES, NODE)
    await mode.sync(view, None)
    assert same(in_kernel(path, chosen), plan(view, config))


@VARIANTS
@in_sandbox
async def test_ipv6(variant: str) -> None:
    path, chosen = netns.create("node-1"), Variant(variant)
    labels = {SERVICE: "web"}
    one = view(
        {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"clusterIP": "fd00:10:96::1", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]},
        },
        Service,
    )
    empty = view(
        {"metadata": {"namespace": "shop", "name": "x"}, "spec": {"clusterIP": "fd00::2", "ports": [{"port": 80}]}},
        Service,
    )
    ends = view(
        {
            "metadata": {"namespace": "shop", "name": "web-1", "labels": labels},
            "addressType": "IPv6",
            "endpoints": [{"addresses": ["fd00:10:244::5"]}, {"addresses": ["fd00:10:244::6"]}],
            "ports": [{"port": 8080}],
        },
        EndpointSlice,
    )
    config = ProxyConfig(cluster_cidr="fd00:10:244::/56", family="IPv6")
    await IptablesMode(path, config, chosen).sync(seen([one, empty], [ends], NODE, "IPv6"), None)
    found = parse(iptables.save(path, chosen, family="IPv6"), "IPv6")
    assert same(found, plan(seen([one, empty], [ends], NODE, "IPv6"), config))


def changes(seed: int, steps: int) -> Iterator[tuple[list[Service], list[EndpointSlice]]]:
    """Services of all kinds that come, go and change, with endpoints that do the same."""
    rng = random.Random(seed)
    services: dict[int, Service] = {}
    ends: dict[int, list[tuple[int, str]]] = {}
    kinds = [
        lambda n: service(n),
        lambda n: service(n, "NodePort"),
        lambda n: service(n, sessionAffinity="ClientIP"),
        lambda n: service(n, "LoadBalancer", externalTrafficPolicy="Local"),
        lambda n: service(n, "LoadBalancer", loadBalancerSourceRanges=["172.18.0.0/16"]),
        lambda n: service(n, internalTrafficPolicy="Local"),
    ]
    for _ in range(steps):
        for _ in range(rng.randint(1, 8)):
            n = rng.randint(1, 40)
            match rng.randrange(4):
                case 0:
                    services.pop(n, None)
                case 1:
                    ends.pop(n, None)
                case 2:
                    services[n] = rng.choice(kinds)(n)
                case 3:
                    chosen = rng.sample(range(1, 250), rng.randint(0, 5))
                    ends[n] = [(byte, rng.choice(["node-1", "node-2"])) for byte in chosen]
        yield list(services.values()), [endpoint_slice(n, e) for n, e in ends.items()]


@pytest.mark.parametrize("seed", [1, 2])
@VARIANTS
@in_sandbox
async def test_changes_in_any_sequence_leave_the_rules_of_a_fresh_start(variant: str, seed: int) -> None:
    chosen, names = Variant(variant), count()
    path = netns.create("changed")
    proxier = IptablesMode(path, variant=chosen)
    before: View | None = None
    for services, slices in changes(seed, 12):
        now = seen(services, slices, NODE)
        await proxier.sync(now, before and differing(before, now))
        before = now
        fresh = netns.create(f"fresh-{next(names)}")
        await IptablesMode(fresh, variant=chosen, fresh=True).sync(now, None)
        assert in_kernel(path, chosen) == in_kernel(fresh, chosen)
        assert same(in_kernel(path, chosen), plan(now))
        netns.delete(fresh)


def differing(before: View, now: View) -> set[PortKey]:
    return {key for key in before.ports.keys() | now.ports.keys() if before.ports.get(key) != now.ports.get(key)}


@in_sandbox
async def test_growing_past_the_limit_of_comments_changes_the_rules_of_every_service() -> None:
    path = netns.create("node-1")
    variant = iptables.probe(path)
    proxier = IptablesMode(path, variant=variant, fresh=True)
    two = [service(1), service(2)]
    few = [endpoint_slice(1, [(1, "node-1")])]
    await proxier.sync(seen(two, few, NODE), None)
    ends = [{"addresses": [f"10.244.{i // 200}.{i % 200 + 1}"]} for i in range(LARGE_CLUSTER)]
    many = [*few, view({**raw(endpoint_slice(2, [])), "endpoints": ends}, EndpointSlice)]
    await proxier.sync(seen(two, many, NODE), {("shop/web-2:http", "tcp")})
    assert same(in_kernel(path, variant), plan(seen(two, many, NODE)))
    assert "shop/web-1:http ->" not in iptables.save(path, variant)


@NFT
@in_sandbox
async def test_more_services_than_one_transaction_takes() -> None:
    path = netns.create("node-1")
    proxier = IptablesMode(path, variant=Variant.NFT)
    meta = [{"namespace": f"ns-{i:03}", "name": "web", "labels": {SERVICE: "web"}} for i in range(300)]
    named = [
        view({**raw(service(1, clusterIP=f"10.97.{i // 250}.{i % 250 + 1}")), "metadata": m}, Service)
        for i, m in enumerate(meta)
    ]
    slices = [view({**raw(endpoint_slice(1, [(1, "")])), "metadata": m}, EndpointSlice) for m in meta]
    text = await proxier.sync(seen(named, slices, NODE), None)
    assert text.count("*nat") > 1
    assert same(in_kernel(path, Variant.NFT), plan(seen(named, slices, NODE)))
    text = await proxier.sync(seen(named[1:], slices[5:], NODE), None)
    assert "-I KUBE-SERVICES" not in text
    assert "-D KUBE-SERVICES 1" in text
    assert same(in_kernel(path, Variant.NFT), plan(seen(named[1:], slices[5:], NODE)))


@VARIANTS
@in_sandbox
async def test_a_refused_line_is_named(variant: str) -> None:
    path, chosen = netns.create("node-1"), Variant(variant)
    bad = "-A KUBE-X --bogus -j DROP"
    with pytest.raises(RuleError, match="--bogus") as error:
        iptables.restore(path, f"*filter\n:KUBE-X - [0:0]\n{bad}\nCOMMIT\n", chosen)
    assert error.value.details["text"] == bad
    with pytest.raises(RuleError, match="NOPE"):
        iptables.restore(path, "*filter\n:KUBE-X - [0:0]\n-A KUBE-X -j NOPE\nCOMMIT\n", chosen)
    many = ["-A KUBE-X -j DROP\n"] * 50_000  # more than a pipe holds, behind the line at which the program ends
    with pytest.raises(RuleError, match="--bogus") as error:
        await iptables.apply(path, [f"*filter\n:KUBE-X - [0:0]\n{bad}\n", *many, "COMMIT\n"], chosen)
    assert error.value.details["text"] == bad


@VARIANTS
@in_sandbox
async def test_a_failed_sync_is_healed_by_the_next(variant: str) -> None:
    path, chosen = netns.create("node-1"), Variant(variant)
    proxier = IptablesMode(path, variant=chosen)
    await proxier.sync(seen(EVERY_KIND, THEIR_SLICES, NODE), None)
    (chain,) = [
        r.target
        for r in in_kernel(path, chosen).chain("nat", "KUBE-EXT-" + port_hash("shop/web-2:http", "tcp")).rules[1:]
    ]
    fewer = [s for s in EVERY_KIND if s.name != "web-2"]
    # Somebody refers to a chain, so that it cannot be deleted when its Service goes.
    iptables.restore(path, f"*nat\n-A OUTPUT -j {chain}\nCOMMIT\n", chosen)
    with pytest.raises(RuleError):
        await proxier.sync(seen(fewer, THEIR_SLICES, NODE), {("shop/web-2:http", "tcp")})
    await proxier.sync(seen(fewer, THEIR_SLICES, NODE), set())
    assert same(in_kernel(path, chosen), plan(seen(fewer, THEIR_SLICES, NODE)))


@in_sandbox
async def test_nodes_side_by_side() -> None:
    paths = [netns.create(f"node-{n}") for n in (1, 2, 3)]
    variant = iptables.probe(paths[0])
    proxiers = [IptablesMode(path, variant=variant) for path in paths]
    await asyncio.gather(*(p.sync(seen(EVERY_KIND, THEIR_SLICES, NODE), None) for p in proxiers))
    assert all(same(in_kernel(path, variant), plan(seen(EVERY_KIND, THEIR_SLICES, NODE))) for path in paths)
