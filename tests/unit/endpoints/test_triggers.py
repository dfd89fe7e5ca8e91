"""The time that an EndpointSlice tells of its last change: the earliest of what is new, told where it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from labkit.api.objects import TRIGGER_TIME, EndpointSlice, Pod, Service, view
from labkit.control.store import Store, copy
from labkit.control.watch import Event
from labkit.endpoints import legacy
from labkit.endpoints.controllers import EndpointSlices, LegacyEndpoints
from labkit.endpoints.triggers import TriggerTimes, noted

V1 = {"apiVersion": "v1"}
T = [f"2025-01-31T12:00:0{second}Z" for second in range(6)]


def service(made: str) -> Service:
    return view({"kind": "Service", "metadata": {"name": "web", "namespace": "a", "creationTimestamp": made}}, Service)


def pod(name: str, since: str | None) -> Pod:
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}] if since else []
    return view({"kind": "Pod", "metadata": {"name": name}, "status": {"conditions": conditions}}, Pod)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(3, {"p": 0, "q": 5})], 3),  # a new Service: when it was made, whatever its pods did
        ([(0, {}), (0, {"p": 2, "q": 3})], 2),  # two new pods: the earlier
        ([(0, {"p": 1}), (0, {"p": 4, "q": 5})], 4),  # one changed, one came
        ([(0, {"p": 1}), (0, {"p": 1})], None),
        ([(0, {"p": 1}), (0, {})], None),  # a pod that goes has no time
        ([(0, {"p": 4}), (0, {"p": 2})], None),  # another pod of that name, or the clock went back
        ([(0, {"p": 4}), (0, {}), (0, {"p": 4})], 4),  # forgotten with the pod
        ([(0, {"p": None}), (0, {"p": None})], None),  # not decided yet
        ([(1, {"p": 1}), (2, {"p": 3})], 2),  # made anew while nobody looked
    ],
)
def test_the_earliest_of_what_is_new(looks: list[tuple[int, dict[str, int | None]]], expected: int | None) -> None:
    times = TriggerTimes()
    for made, pods in looks:
        last = times.take(service(T[made]), [pod(n, None if at is None else T[at]) for n, at in pods.items()])
    assert last == ("" if expected is None else T[expected])


def test_a_service_that_is_gone_is_forgotten() -> None:
    times = TriggerTimes()
    times.take(service(T[0]), [])
    assert times.take(service(T[0]), []) == ""
    times.forget("a/web")
    times.forget("a/never")
    assert times.take(service(T[0]), []) == T[0]


def slice_of(name: str, *addresses: str, **annotations: str) -> EndpointSlice:
    metadata = {"name": name, "annotations": annotations}
    return view({"metadata": metadata, "endpoints": [{"addresses": [a]} for a in addresses]}, EndpointSlice)


SLICES = st.builds(
    lambda name, addresses, note, since: slice_of(name, *addresses, **note, **since),
    st.sampled_from(["one", "two"]),
    st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=2),
    st.sampled_from([{}, {"mine": "x"}]),
    st.sampled_from([{}, {TRIGGER_TIME: T[0]}, {TRIGGER_TIME: T[1]}]),
)


@given(SLICES, SLICES, st.sampled_from(["", T[2]]))
def test_a_slice_is_written_for_its_content_never_for_the_time(
    old: EndpointSlice, wanted: EndpointSlice, since: str
) -> None:
    def content(one: EndpointSlice) -> Any:
        annotations = {k: v for k, v in one.metadata.annotations.items() if k != TRIGGER_TIME}
        return replace(one, metadata=replace(one.metadata, annotations=annotations))

    (made,) = noted([old], [wanted], since)
    assert content(made) == content(wanted)
    if content(old) == content(wanted):
        assert made is old
    else:
        assert made.metadata.annotations.get(TRIGGER_TIME, "") == since
    (new,) = noted([], [replace(wanted, metadata=replace(wanted.metadata, name=""))], since)
    assert new.metadata.annotations.get(TRIGGER_TIME, "") == since


def test_endpoints_keep_what_others_wrote_on_them() -> None:
    planned = {"metadata": {"labels": {"a": "b"}}, "subsets": [1]}
    has = {"metadata": {"labels": {"a": "b"}, "annotations": {"mine": "x", TRIGGER_TIME: T[0]}}, "subsets": [1]}
    assert legacy.same(planned, has)
    assert not legacy.same({**planned, "subsets": []}, has)
    assert not legacy.same({**planned, "metadata": {"labels": {}}}, has)
    too_many = {**planned, "metadata": {"labels": {"a": "b"}, "annotations": {legacy.OVER_CAPACITY: "truncated"}}}
    assert not legacy.same(too_many, has)
    assert legacy.noted(planned, has, "")["metadata"]["annotations"] == {"mine": "x"}
    noted = legacy.noted(too_many, has, T[1])["metadata"]
    assert noted["annotations"] == {"mine": "x", legacy.OVER_CAPACITY: "truncated", TRIGGER_TIME: T[1]}
    assert legacy.noted(planned, {}, "") == planned


def test_both_controllers_write_it_and_come_to_rest() -> None:
    store = Store()
    store.create({**V1, "kind": "Namespace", "metadata": {"name": "default"}})
    controllers = [EndpointSlices(store), LegacyEndpoints(store)]
    writes: list[Event] = []
    store.watch(["EndpointSlice", "Endpoints"], writes.append)

    def settle() -> list[str]:
        """What a round writes: the times; a second round writes nothing."""
        del writes[:]
        for _ in range(2):
            for each in controllers:
                each.reconcile("default/web")
        return [event.object["metadata"].get("annotations", {}).get(TRIGGER_TIME, "") for event in writes]

    store.create({**V1, "kind": "Node", "metadata": {"name": "node-1"}})
    spec = {"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ports": [{"port": 80, "protocol": "TCP"}]}
    made = store.create({**V1, "kind": "Service", "metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    assert settle() == [made["metadata"]["creationTimestamp"]] * 2
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": T[1]}
    status = {"phase": "Running", "podIP": "10.244.1.2", "podIPs": [{"ip": "10.244.1.2"}], "conditions": [ready]}
    raw = {"metadata": {"name": "p", "namespace": "default", "labels": {"app": "web"}}, "spec": {"nodeName": "node-1"}}
    store.create({**V1, "kind": "Pod", **raw, "status": status})
    assert settle() == [T[1]] * 2
    store.update("Pod", "default", "p", lambda pod: pod["metadata"].update(annotations={"seen": "yes"}))
    assert settle() == []
    store.update("Service", "default", "web", lambda it: it["metadata"].update(labels={"team": "x"}))
    assert settle() == ["", ""], "a change without a time: what is noted of the last one goes"
    gone = copy(store.get("Pod", "default", "p"))
    store.delete("Pod", "default", gone["metadata"]["name"], grace=0)
    assert settle() == ["", ""]
