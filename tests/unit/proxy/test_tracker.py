"""The tracker knows what the objects say, whatever came before, and tells exactly which ports changed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import EndpointSlice, Service, view
from labkit.proxy.tracker import Tracker, tracked

NAMES = st.sampled_from(["a", "b", "c"])


def service(name: str, port: int) -> Service:
    spec = {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": port}, {"name": "other", "port": 9}]}
    return view({"metadata": {"namespace": "ns", "name": name}, "spec": spec}, Service)


def endpoint_slice(name: str, owner: str, byte: int) -> EndpointSlice:
    meta = {"namespace": "ns", "name": name, "labels": {"kubernetes.io/service-name": owner}}
    ends: list[dict[str, Any]] = [{"addresses": [f"10.244.0.{byte}"], "nodeName": f"node-{byte % 2}"}]
    return view({"metadata": meta, "endpoints": ends, "ports": [{"name": "http", "port": 80}]}, EndpointSlice)


SERVICE = st.builds(service, NAMES, st.integers(80, 82))
SLICE = st.builds(endpoint_slice, NAMES, NAMES, st.integers(1, 3))
EVENTS = st.lists(st.tuples(st.one_of(SERVICE, SLICE), st.booleans()), max_size=30)


@given(EVENTS)
def test_any_sequence_ends_as_a_fresh_start_does(events: list[tuple[Service | EndpointSlice, bool]]) -> None:
    tracker = Tracker()
    services: dict[str, Service] = {}
    slices: dict[str, EndpointSlice] = {}
    for thing, gone in events:
        before = dict(tracker.ports)
        if isinstance(thing, Service):
            changed = tracker.service(thing, gone=gone)
            services = {n: s for n, s in services.items() if n != thing.name}
            services |= {} if gone else {thing.name: thing}
        else:
            changed = tracker.slice(thing, gone=gone)
            slices = {n: s for n, s in slices.items() if n != thing.name}
            slices |= {} if gone else {thing.name: thing}
        both = before.keys() | tracker.ports.keys()
        assert changed == {key for key in both if before.get(key) != tracker.ports.get(key)}
    fresh = tracked(services.values(), slices.values())
    assert (tracker.ports, tracker.keys, tracker.total) == (fresh.ports, fresh.keys, fresh.total)
    assert tracker.keys == sorted(tracker.ports)


def test_a_slice_that_changes_its_service_leaves_the_first() -> None:
    tracker = tracked([service("a", 80), service("b", 80)], [endpoint_slice("x", "a", 1)])
    changed = tracker.slice(endpoint_slice("x", "b", 1))
    assert changed == {("ns/a:http", "tcp"), ("ns/b:http", "tcp")}
    assert [len(tracker.ports[key].backends) for key in tracker.keys] == [0, 0, 1, 0]
