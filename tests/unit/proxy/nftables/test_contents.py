"""Following changes port by port gives what a fresh plan gives, and each change leads from one table to the next."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.nft.change import Change, Holding, between
from labkit.proxy.config import DEFAULT
from labkit.proxy.mode import seen, view_of
from labkit.proxy.nftables.contents import Contents
from labkit.proxy.nftables.kernel_table import holding
from labkit.proxy.nftables.part import without_affinity
from labkit.proxy.nftables.plan import frame_of, joined, part_of, plan
from labkit.proxy.tracker import Tracker

NODE = view({"metadata": {"name": "node-1"}}, Node)
KINDS: dict[str, dict[str, Any]] = {
    "cluster": {},
    "node": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]},
    "two ports": {"ports": [{"name": "http", "port": 80}, {"name": "more", "port": 81}]},
    "local": {"internalTrafficPolicy": "Local"},
    "sticky": {"sessionAffinity": "ClientIP"},
    "external": {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local", "type": "NodePort"},
}


def service(name: str, kind: str) -> Service:
    spec = {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}], **KINDS[kind]}
    return view({"metadata": {"namespace": "ns", "name": name}, "spec": spec}, Service)


def endpoint_slice(owner: str, bytes_: list[int]) -> EndpointSlice:
    meta = {"namespace": "ns", "name": owner, "labels": {"kubernetes.io/service-name": owner}}
    ends = [{"addresses": [f"10.244.0.{b}"], "nodeName": f"node-{b % 2}"} for b in bytes_]
    ports = [{"name": "http", "port": 8080}, {"name": "more", "port": 8081}]
    return view({"metadata": meta, "endpoints": ends, "ports": ports}, EndpointSlice)


NAMES = st.sampled_from(["a", "b", "c"])
SERVICE = st.builds(service, NAMES, st.sampled_from(sorted(KINDS)))
SLICE = st.builds(endpoint_slice, NAMES, st.lists(st.integers(1, 9), unique=True, max_size=4))
EVENTS = st.lists(st.tuples(st.one_of(SERVICE, SLICE), st.booleans()), max_size=20)


def applied(held: Holding, change: Change) -> Holding:
    """What a kernel makes of a change, which it refuses where something is not, or is, there."""
    chains, sets, elements = dict(held.chains), dict(held.sets), dict(held.elements)
    for made in change.sets:
        assert made.name not in sets
        sets[made.name] = made
    for chain in change.chains:
        assert chain.name not in chains
        chains[chain.name] = chain
    for chain in change.rewritten:
        assert chain.name in chains
        chains[chain.name] = chain
    for place in change.taken:
        del elements[place]
    assert not change.put.keys() & elements.keys()
    elements |= change.put
    for name in change.stale_chains:
        del chains[name]
    for name in change.stale_sets:
        del sets[name]
    return Holding(chains, sets, elements)


@given(EVENTS)
def test_incremental_equals_fresh(events: list[tuple[Service | EndpointSlice, bool]]) -> None:
    tracker, contents, held = Tracker(), Contents(), Holding()
    for thing, gone in events:
        take = tracker.service if isinstance(thing, Service) else tracker.slice
        changed = take(thing, gone=gone)
        known = view_of(tracker, NODE)
        parts = {key: part_of(known.ports[key], known, DEFAULT) if key in known.ports else None for key in changed}
        held = applied(held, contents.update(parts))
        whole = contents.holding()
        assert held == whole
        assert joined(frame_of(known, DEFAULT), whole) == plan(known)


@given(EVENTS)
def test_nothing_changes_twice(events: list[tuple[Service | EndpointSlice, bool]]) -> None:
    tracker, contents = Tracker(), Contents()
    for thing, _ in events:
        (tracker.service if isinstance(thing, Service) else tracker.slice)(thing)
    known = view_of(tracker, NODE)
    parts = {key: part_of(known.ports[key], known, DEFAULT) for key in known.keys}
    contents.update(parts)
    assert contents.update(parts) == Change()
    assert (contents.update(dict.fromkeys(parts)) != Change()) == bool(parts)
    assert contents.holding() == Holding()


def test_the_next_claim_holds_when_the_first_goes() -> None:
    tracker = Tracker()
    tracker.service(service("a", "external"))
    tracker.service(service("b", "external"))
    known = view_of(tracker, NODE)
    contents = Contents({key: part_of(known.ports[key], known, DEFAULT) for key in known.keys})
    change = contents.update({("ns/a:http", "tcp"): None})
    place = ("no-endpoint-services", ("192.0.2.1", "tcp", "80"))
    assert change.put[place].comment == "ns/b:http"
    assert place in change.taken
    assert ("cluster-ips", ("10.96.0.1",)) not in change.taken


def test_a_part_without_affinity() -> None:
    known = seen([service("a", "sticky")], [endpoint_slice("a", [1, 2])], NODE)
    (part,) = (part_of(known.ports[key], known, DEFAULT) for key in known.keys)
    plain = without_affinity(part)
    assert "affinity" in str(plan(known))
    assert "affinity" not in str([str(rule) for chain in plain.chains for rule in chain.rules])
    assert [len(c.rules) for c in part.chains] == [3, 3, 4]
    assert [len(c.rules) for c in plain.chains] == [2, 2, 2]
    assert (plain.sets, plain.elements) == ((), part.elements)


def test_a_table_as_a_holding() -> None:
    table = plan(seen([service("a", "node")], [], NODE))
    assert between(holding(table), holding(table)) == Change()
    assert len(holding(table).elements) == 3
