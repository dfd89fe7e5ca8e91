"""Following changes port by port gives what a fresh plan gives, and every step leads from the one to the other."""

from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.ipvs import ServerKey, VirtualServer
from labkit.proxy.config import DEFAULT
from labkit.proxy.ipvs.ledger import Ledger, State
from labkit.proxy.ipvs.part import Entry
from labkit.proxy.ipvs.plan import plan, planned, where, written
from labkit.proxy.ipvs.step import Step, difference
from labkit.proxy.mode import seen, view_of
from labkit.proxy.tracker import Tracker

NODE = view({"metadata": {"name": "node-1"}}, Node)
KINDS = {
    "cluster": {},
    "node": {"type": "NodePort", "ports": [{"name": "http", "port": 80, "nodePort": 30080}]},
    "local": {"internalTrafficPolicy": "Local"},
    "sticky": {"sessionAffinity": "ClientIP"},
    "external": {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Local", "type": "NodePort"},
    "closed": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]},
}


def service(name: str, kind: str, address: int) -> Service:
    spec = {"clusterIP": f"10.96.0.{address}", "ports": [{"name": "http", "port": 80}], **KINDS[kind]}
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}] if kind == "closed" else []}}
    return view({"metadata": {"namespace": "ns", "name": name}, "spec": spec, "status": status}, Service)


def endpoint_slice(owner: str, bytes_: list[int], weight: int) -> EndpointSlice:
    meta = {
        "namespace": "ns",
        "name": owner,
        "labels": {"kubernetes.io/service-name": owner},
        "annotations": {"labkit.dev/ipvs-weight": str(weight)},
    }
    ends = [{"addresses": [f"10.244.0.{b}"], "nodeName": f"node-{b % 2}"} for b in bytes_]
    return view({"metadata": meta, "endpoints": ends, "ports": [{"name": "http", "port": 8080}]}, EndpointSlice)


NAMES = st.sampled_from(["a", "b", "c"])
SERVICE = st.builds(service, NAMES, st.sampled_from(sorted(KINDS)), st.integers(1, 2))
SLICE = st.builds(endpoint_slice, NAMES, st.lists(st.integers(1, 9), unique=True, max_size=4), st.integers(0, 2))
EVENTS = st.lists(st.tuples(st.one_of(SERVICE, SLICE), st.booleans()), max_size=20)


class Kernel:
    """What a node would have after steps."""

    def __init__(self) -> None:
        self.servers: dict[ServerKey, VirtualServer] = {}
        self.bound: set[str] = set()
        self.entries: set[Entry] = set()

    def take(self, step: Step) -> None:
        assert not self.entries & set(step.entered)
        assert not self.bound & set(step.bound)
        assert self.entries >= set(step.left)
        assert self.bound >= set(step.unbound)
        self.entries = (self.entries | set(step.entered)) - set(step.left)
        self.bound = (self.bound | set(step.bound)) - set(step.unbound)
        for one in step.servers:
            key = (one.after or one.before).key  # type: ignore[union-attr]
            assert self.servers.get(key) == one.before
            if one.after is None:
                del self.servers[key]
                continue
            kept = {s.address: s for s in (one.before.servers if one.before else ())}
            assert not kept.keys() & {s.address for s in one.added}
            kept.update((s.address, s) for s in (*one.added, *one.reweighted))
            for server in one.removed:
                del kept[server.address]
            assert sorted(kept.values()) == sorted(one.after.servers)
            self.servers[key] = one.after


@given(EVENTS)
def test_incremental_equals_fresh(events: list[tuple[Service | EndpointSlice, bool]]) -> None:
    tracker, ledger, kernel = Tracker(), Ledger(), Kernel()
    for thing, gone in events:
        take = tracker.service if isinstance(thing, Service) else tracker.slice
        changed = take(thing, gone=gone)  # type: ignore[arg-type]
        view_, here = view_of(tracker, NODE), where(view_of(tracker, NODE), DEFAULT)
        ports = {key: view_.ports.get(key) for key in changed}
        before, after = ledger.replace({k: planned(p, view_, here) if p else None for k, p in ports.items()})
        kernel.take(difference(before, after))
        fresh = plan(view_)
        assert written(ledger, DEFAULT) == fresh
        assert {s.key: s for s in fresh.servers} == kernel.servers
        assert set(fresh.bound) == kernel.bound
        assert State(kernel.servers, frozenset(kernel.bound), frozenset(kernel.entries)) == ledger.state


def test_a_change_is_as_large_as_what_changed() -> None:
    services = [service(f"s{n}", "cluster", n) for n in range(1, 200)]
    ledger, view_ = Ledger(), seen(services, [], NODE)
    here = where(view_, DEFAULT)
    ledger.replace({key: planned(view_.ports[key], view_, here) for key in view_.keys})
    before, after = ledger.replace({("ns/s7:http", "tcp"): None})
    assert [s.name for s in before.servers.values()] == ["-t 10.96.0.7:80"]
    assert after == State()
    assert str(difference(before, after)) == (
        "address delete 10.96.0.7/32 dev kube-ipvs0\n"
        "del KUBE-CLUSTER-IP 10.96.0.7,tcp:80\n"
        "del KUBE-IPVS-IPS 10.96.0.7\n"
        "-D -t 10.96.0.7:80\n"
    )


def test_a_step_in_words() -> None:
    ledger = Ledger()
    texts = []
    for kind, ends in (("cluster", [1, 2]), ("sticky", [2, 3])):
        view_ = seen([service("a", kind, 1)], [endpoint_slice("a", ends, ends[0])], NODE)
        here = where(view_, DEFAULT)
        texts.append(
            str(difference(*ledger.replace({key: planned(view_.ports[key], view_, here) for key in view_.keys})))
        )
    assert texts[0].splitlines() == [
        "add KUBE-CLUSTER-IP 10.96.0.1,tcp:80",
        "add KUBE-IPVS-IPS 10.96.0.1",
        "add KUBE-LOOP-BACK 10.244.0.1,tcp:8080,10.244.0.1",
        "-A -t 10.96.0.1:80 -s rr",
        "-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1",
        "-a -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 1",
        "address add 10.96.0.1/32 dev kube-ipvs0",
    ]
    assert texts[1].splitlines() == [
        "add KUBE-LOOP-BACK 10.244.0.3,tcp:8080,10.244.0.3",
        "-E -t 10.96.0.1:80 -s rr -p 10800",
        "-a -t 10.96.0.1:80 -r 10.244.0.3:8080 -m -w 2",
        "-e -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 2",
        "-d -t 10.96.0.1:80 -r 10.244.0.1:8080",
        "del KUBE-LOOP-BACK 10.244.0.1,tcp:8080,10.244.0.1",
    ]
