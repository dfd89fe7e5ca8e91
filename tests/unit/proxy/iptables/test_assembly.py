"""Following changes port by port gives what a fresh plan gives, and names every chain that differs."""

from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.rules import Ruleset
from labkit.proxy.config import DEFAULT
from labkit.proxy.iptables.assembly import Assembly
from labkit.proxy.iptables.plan import LARGE_CLUSTER, plan
from labkit.proxy.mode import seen, view_of
from labkit.proxy.tracker import Tracker

NODE = view({"metadata": {"name": "node-1"}}, Node)
KINDS = {
    "cluster": {},
    "node": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]},
    "local": {"internalTrafficPolicy": "Local"},
    "sticky": {"sessionAffinity": "ClientIP"},
    "external": {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local", "type": "NodePort"},
}


def service(name: str, kind: str) -> Service:
    spec = {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}], **KINDS[kind]}
    return view({"metadata": {"namespace": "ns", "name": name}, "spec": spec}, Service)


def endpoint_slice(owner: str, bytes_: list[int]) -> EndpointSlice:
    meta = {"namespace": "ns", "name": owner, "labels": {"kubernetes.io/service-name": owner}}
    ends = [{"addresses": [f"10.244.{b // 250}.{b % 250}"], "nodeName": f"node-{b % 2}"} for b in bytes_]
    return view({"metadata": meta, "endpoints": ends, "ports": [{"name": "http", "port": 8080}]}, EndpointSlice)


NAMES = st.sampled_from(["a", "b", "c"])
SERVICE = st.builds(service, NAMES, st.sampled_from(sorted(KINDS)))
SLICE = st.builds(endpoint_slice, NAMES, st.lists(st.integers(1, 9), unique=True, max_size=4))
EVENTS = st.lists(st.tuples(st.one_of(SERVICE, SLICE), st.booleans()), max_size=20)


def chains(rules: Ruleset) -> dict[tuple[str, str], list[str]]:
    return {(t.name, c.name): [r.text for r in c.rules] for t in rules.tables for c in t.chains}


@given(EVENTS)
def test_incremental_equals_fresh(events: list[tuple[Service | EndpointSlice, bool]]) -> None:
    tracker, assembly = Tracker(), Assembly(DEFAULT)
    assert assembly.update(view_of(tracker, NODE), None) is None
    for thing, gone in events:
        take = tracker.service if isinstance(thing, Service) else tracker.slice
        changed = take(thing, gone=gone)  # type: ignore[operator]
        before = chains(assembly.ruleset())
        moved = assembly.update(view_of(tracker, NODE), changed)
        after = chains(assembly.ruleset())
        assert assembly.ruleset() == plan(view_of(tracker, NODE))
        assert moved is not None
        told = {(t, c) for t, (old, new) in moved.items() for c in old.keys() | new.keys()}
        assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} <= told
        for table, (old, new) in moved.items():
            assert all([r.text for r in rules] == before[table, chain] for chain, rules in old.items())
            assert all([r.text for r in rules] == after[table, chain] for chain, rules in new.items())


def test_growing_past_the_limit_of_comments_changes_every_port() -> None:
    assembly = Assembly(DEFAULT)
    small = [service("a", "cluster"), service("b", "cluster")]
    few = endpoint_slice("a", [1])
    assembly.update(seen(small, [few], NODE), None)
    many = endpoint_slice("b", list(range(1, LARGE_CLUSTER + 1)))
    now = seen(small, [few, many], NODE)
    assert assembly.update(now, {("ns/b:http", "tcp")}) is None
    assert assembly.ruleset() == plan(now)
    assert not any("ns/a:http ->" in text for texts in chains(assembly.ruleset()).values() for text in texts)
