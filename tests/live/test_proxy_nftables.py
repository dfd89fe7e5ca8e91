"""kube-proxy's nftables table in the kernel: what was planned is what `nft list table` shows, however it came about."""

import random
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from inside import NFT, in_sandbox
from packetflow import CASES, Case

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.errors import NetlinkError, RuleError
from labkit.lab.bench.nftables import nftables
from labkit.linux import netns
from labkit.linux import nfnetlink as nl
from labkit.linux.netlink import CREATE
from labkit.linux.nftables.kernel import NfTables
from labkit.linux.nftables.messages import Messages
from labkit.net.nft import Chain, InRanges, Rule, Spread, Verdict
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import seen, view_of
from labkit.proxy.nftables.mode import NftablesMode
from labkit.proxy.nftables.plan import plan
from labkit.proxy.tracker import Tracker

pytestmark = NFT  # User-Mode Linux has no nf_tables for IP packets

OWNER = "kubernetes.io/service-name"
NODE = view(
    {"metadata": {"name": "node-1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.1.2"}]}}, Node
)
PRINTS_LIKE = "v1.0.6"  # other versions of nft break lines and name priorities differently
KINDS: list[dict[str, Any]] = [
    {},
    {"type": "NodePort"},
    {"sessionAffinity": "ClientIP"},
    {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 90}}},
    {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    {"type": "LoadBalancer", "loadBalancerSourceRanges": ["172.18.0.0/16", "10.0.0.0/9", "10.128.0.0/9"]},
    {"internalTrafficPolicy": "Local", "externalIPs": ["198.51.100.9"]},
]


def service(number: int, **spec: Any) -> Service:
    kind = spec.get("type", "ClusterIP")
    port = {"name": "http", "port": 80, "nodePort": 30000 + number if kind != "ClusterIP" else 0}
    made = {"clusterIP": f"10.96.{number >> 8}.{number & 255}", "ports": [port], **spec}
    ingress = [{"ip": f"192.0.2.{number}"}] if kind == "LoadBalancer" else []
    meta = {"namespace": "shop", "name": f"web-{number}"}
    return view({"metadata": meta, "spec": made, "status": {"loadBalancer": {"ingress": ingress}}}, Service)


def endpoint_slice(number: int, ends: list[tuple[int, str]]) -> EndpointSlice:
    """`ends`: last two bytes of the address as a number, and the node."""
    meta = {"namespace": "shop", "name": f"web-{number}-1", "labels": {OWNER: f"web-{number}"}}
    made = [{"addresses": [f"10.244.{byte >> 8}.{byte & 255}"], "nodeName": node} for byte, node in ends]
    return view({"metadata": meta, "endpoints": made, "ports": [{"name": "http", "port": 8080}]}, EndpointSlice)


def nft(path: str, *arguments: str) -> str:
    with netns.entered(path):
        done = subprocess.run(["nft", *arguments], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def listed(path: str, family: str = "ip") -> str:
    return nft(path, "list", "table", family, "kube-proxy")


def blocks(text: str) -> list[str]:
    """The sets and chains of a listing, whatever the order in which they were made."""
    _, head, rest = text.partition("\tset cluster-ips")
    return sorted(block.rstrip("}\n\t") for block in (head + rest).split("\n\n"))


def equal(path: str, expected: Any) -> bool:
    exact = PRINTS_LIKE in nft(path, "--version")
    return not exact or blocks(listed(path, expected.family)) == blocks(str(expected))


@in_sandbox
async def test_kernel_shows_what_was_planned_character_by_character() -> None:
    path = netns.create("node-1")
    exact = PRINTS_LIKE in nft(path, "--version")
    for suite in CASES["suites"]:
        case = Case(suite, suite["flows"][0], 0)
        mode = NftablesMode(path, case.config)
        await mode.start()
        text = await mode.sync(case.view, None)
        family = mode.plan.family
        if exact:
            assert listed(path, family) == str(mode.plan) == str(plan(case.view, case.config)), suite["id"]
        assert await mode.sync(case.view, None) == "", "read back, nothing differs"
        assert await NftablesMode(path, case.config).sync(case.view, None) == ""
        await mode.stop()
        assert nft(path, "list", "ruleset") == "", "nothing is left"
        # What was applied is what nft itself can be fed, to the same effect.
        with netns.entered(path):
            subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
        if exact:
            assert listed(path, family) == str(plan(case.view, case.config)), suite["id"]
        nft(path, "flush", "ruleset")


def events(seed: int, steps: int) -> Iterator[list[tuple[Service | EndpointSlice, bool]]]:
    """Services of all kinds that come, go and change, with endpoints that do the same; True: it is gone."""
    rng = random.Random(seed)
    for _ in range(steps):
        found: list[tuple[Service | EndpointSlice, bool]] = []
        for _ in range(rng.randint(1, 8)):
            number = rng.randint(1, 12)
            if rng.random() < 0.5:
                found.append((service(number, **rng.choice(KINDS)), rng.random() < 0.3))
            else:
                ends = [
                    (byte, rng.choice(["node-1", "node-2"])) for byte in rng.sample(range(1, 250), rng.randint(0, 5))
                ]
                found.append((endpoint_slice(number, ends), rng.random() < 0.3))
        yield found


@pytest.mark.parametrize("seed", [1, 2])
@in_sandbox
async def test_changes_in_any_sequence_leave_the_table_of_a_fresh_start(seed: int) -> None:
    path, names, tracker = netns.create("changed"), count(), Tracker()
    mode = NftablesMode(path, ProxyConfig(service_cidrs=("10.96.0.0/12",)))
    await mode.sync(view_of(tracker, NODE), None)
    for step in events(seed, 25):
        changed: set[tuple[str, str]] = set()
        for thing, gone in step:
            changed |= (tracker.service if isinstance(thing, Service) else tracker.slice)(thing, gone=gone)
        known = view_of(tracker, NODE)
        await mode.sync(known, changed)
        assert equal(path, plan(known, mode.config))
        fresh = netns.create(f"fresh-{next(names)}")
        other = NftablesMode(fresh, mode.config)
        await other.sync(known, None)
        assert other.plan == mode.plan
        assert blocks(listed(path)) == blocks(listed(fresh))
        netns.delete(fresh)
    assert await mode.sync(known, None) == "", "read back, nothing differs"


EVERY_KIND = [service(n, **kind) for n, kind in enumerate(KINDS, 1)]
THEIR_SLICES = [endpoint_slice(n, [(n, "node-1"), (n + 100, "node-2")]) for n in range(1, 7)]


@in_sandbox
async def test_what_somebody_changed_by_hand_is_restored() -> None:
    path, known = netns.create("node-1"), seen(EVERY_KIND, THEIR_SLICES, NODE)
    mode = NftablesMode(path)
    await mode.sync(known, None)
    before = blocks(listed(path))
    base = next(c.name for c in mode.plan.chains if c.name.startswith("service-") and "web-1/" in c.name)
    table = ("ip", "kube-proxy")
    changes: list[Callable[[], Any]] = [
        lambda: nft(path, "flush", "chain", *table, "services"),
        lambda: nft(path, "flush", "chain", *table, base),
        lambda: nft(path, "add", "rule", *table, base, "drop"),
        lambda: nft(path, "insert", "rule", *table, "masquerading", "accept"),
        lambda: nft(path, "delete", "element", *table, "service-ips", "{ 10.96.0.1 . tcp . 80 }"),
        lambda: nft(path, "add", "element", *table, "cluster-ips", "{ 10.96.0.99 }"),
        lambda: nft(path, "add", "element", *table, "service-ips", "{ 10.96.0.99 . udp . 53 : drop }"),
        lambda: nft(path, "delete", "element", *table, "no-endpoint-services", "{ 10.96.0.7 . tcp . 80 }"),
        lambda: nft(path, "flush", "map", *table, "service-nodeports"),
        lambda: nft(path, "chain", *table, "filter-forward", "{ policy drop ; }"),
        lambda: nft(path, "add", "chain", *table, "service-AAAAAAAA-gone/gone/tcp/x"),
        lambda: nft(path, "add", "set", *table, "affinity-AAAAAAAA-gone", "{ type ipv4_addr ; }"),
        lambda: nft(path, "flush", "table", *table),
        lambda: nft(path, "delete", "table", *table),
        lambda: nft(path, "flush", "ruleset"),
    ]
    for number, change in enumerate(changes):
        change()
        assert await mode.sync(known, None), number
        assert blocks(listed(path)) == before, number
    nft(path, "add", "chain", *table, "mine")
    assert await mode.sync(known, None) == "", "what is not kube-proxy's is left alone"
    # Without being told to look: a change that cannot be made shows that the table is not what it was.
    nft(path, "delete", "table", *table)
    fewer = seen(EVERY_KIND[1:], THEIR_SLICES[1:], NODE)
    await mode.sync(fewer, {("shop/web-1:http", "tcp")})
    assert equal(path, plan(fewer))
    # The kernel has more to say about a large change than the socket can hold.
    nft(path, "delete", "table", *table)
    many = seen([service(n) for n in range(1, 400)], [endpoint_slice(n, [(n, "")]) for n in range(1, 400)], NODE)
    await mode.sync(many, many.ports.keys() | fewer.ports.keys())
    assert equal(path, plan(many))


@in_sandbox
async def test_more_services_than_one_transaction_takes() -> None:
    path, most = netns.create("node-1"), 50_000
    many = [service(n) for n in range(1, 301)]
    slices = [endpoint_slice(n, [(n, "node-1"), (n + 1000, "node-2")]) for n in range(1, 301)]
    slices.append(endpoint_slice(301, [(n, "node-2") for n in range(1, 201)]))
    known = seen([*many, service(301)], slices, NODE)
    mode = NftablesMode(path, most=most)
    text = await mode.sync(known, None)
    assert len(text) > 5 * most
    assert equal(path, plan(known))
    less = seen([*many[200:], service(301)], [*slices[200:-1], endpoint_slice(301, [(5, "node-1")])], NODE)
    await mode.sync(less, known.ports.keys())
    assert equal(path, plan(less))
    await mode.sync(seen([], [], NODE), None)
    assert equal(path, plan(seen([], [], NODE)))


@in_sandbox
async def test_ipv6() -> None:
    path = netns.create("node-1")
    labels = {OWNER: "web"}
    spec = {"clusterIP": "fd00:10:96::1", "sessionAffinity": "ClientIP", "type": "LoadBalancer"}
    ranges = ["fd00:18::/64", "fd00:19::/20", "::1/128"]
    one = view(
        {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {**spec, "loadBalancerSourceRanges": ranges, "ports": [{"port": 80, "nodePort": 30080}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "2001:db8::1"}, {"ip": "2001:db8::2"}]}},
        },
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
    cidrs = ("fd00:10:96::/112", "fd00:10:97::/108")
    config = ProxyConfig(cluster_cidr="fd00:10:244::/52", service_cidrs=cidrs, family="IPv6")
    mode, known = NftablesMode(path, config), seen([one], [ends], NODE, "IPv6")
    await mode.sync(known, None)
    assert equal(path, plan(known, config))
    assert await mode.sync(known, None) == ""


@in_sandbox
async def test_a_refused_change_is_named_and_healed_by_the_next() -> None:
    path, known = netns.create("node-1"), seen(EVERY_KIND, THEIR_SLICES, NODE)
    mode = NftablesMode(path)
    with nl.Netfilter(path) as owner:  # a table that only its owner may change, as long as the owner lives
        owner.transaction(10, [(10 << 8, CREATE, nl.text(1, "kube-proxy") + nl.number(2, 2))], "own the table")
        with pytest.raises(RuleError, match=r"cannot add table ip kube-proxy .*not permitted") as error:
            await mode.sync(known, None)
        assert error.value.details["name"] == "EPERM"
    await mode.sync(known, set())
    assert equal(path, plan(known))
    external = next(c.name for c in mode.plan.chains if c.name.startswith("external-") and "web-2/" in c.name)
    nft(path, "add", "chain", "ip", "kube-proxy", "mine")
    nft(path, "add", "rule", "ip", "kube-proxy", "mine", "jump", external)
    fewer = seen([s for s in EVERY_KIND if s.name != "web-2"], THEIR_SLICES, NODE)
    await mode.sync(fewer, {("shop/web-2:http", "tcp")})
    assert f"chain {external} {{\n\t}}" in listed(path), "in use by somebody else: emptied, and kept"
    nft(path, "delete", "chain", "ip", "kube-proxy", "mine")
    await mode.sync(fewer, None)
    assert equal(path, plan(fewer))


@in_sandbox
async def test_the_benchmark_measures_it_beside_nft() -> None:
    found = await nftables(20)
    assert list(found) == ["load", "change", "check", "nft change", "nft load"]
    assert all(seconds > 0 for seconds in found.values())


@in_sandbox
def test_the_kernel_names_what_it_refuses() -> None:
    make = Messages("ip", "t")
    with NfTables(netns.create("node-1"), "ip") as kernel:
        kernel.apply([[make.add_table("x"), make.add_chain(Chain("a"))]])
        bad = list(make.add_rule("a", Rule((Spread((Verdict("goto", "gone"),)),))))
        with pytest.raises(NetlinkError, match=r"cannot add rule ip t a numgen random mod 1 vmap { 0 : goto gone }"):
            kernel.apply([[make.add_chain(Chain("b")), *bad]])
        with pytest.raises(NetlinkError, match=r"cannot delete chain ip t b"):
            kernel.apply([[make.delete_chain("b")]])  # all or nothing
        lost = [list(make.add_rule("gone", Rule((Verdict("drop"),)))) for _ in range(2000)]
        with pytest.raises(NetlinkError, match=r"cannot add rule ip t gone drop .*No such file"):
            kernel.apply(lost)  # it says so of each, which is more than the socket can hold
        everywhere = InRanges("ip saddr", ("10.0.0.0/8", "0.0.0.0/0"))
        kernel.apply([list(make.add_rule("a", Rule((everywhere, Verdict("drop")))))])
