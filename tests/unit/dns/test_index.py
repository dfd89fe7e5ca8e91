"""The index depends on the current objects only: any interleaving of the same events gives equal answers."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.dns import kubernetes
from labkit.dns.corefile import Kubernetes
from labkit.dns.index import Index
from labkit.net import dnsrecords as records
from labkit.net.dnsrecords import Question, Response

CONFIG = Kubernetes(pods="verified", ttl=30)
NAMES = ["web.shop", "db.shop", "web.ops"]
QUESTIONS = [Question(f"{name}.svc.cluster.local.", kind) for name in NAMES for kind in (records.A, records.SRV)]
QUESTIONS += [Question(f"p0.{name}.svc.cluster.local.", records.A) for name in NAMES]
QUESTIONS += [Question(f"10-244-0-{n}.shop.pod.cluster.local.", records.A) for n in range(4)]
QUESTIONS += [Question(f"{n}.0.244.10.in-addr.arpa.", records.PTR) for n in range(4)]
QUESTIONS += [Question(f"{n}.0.96.10.in-addr.arpa.", records.PTR) for n in range(4)]

State = dict[str, Any]


def service(key: tuple[str, str], ip: str, kind: str) -> State:
    meta = {"name": key[0], "namespace": key[1], "resourceVersion": "7"}
    spec: State = {"clusterIP": ip, "ports": [{"name": "http", "port": 80}]}
    if kind == "ExternalName":
        spec = {"type": kind, "externalName": "web.shop.svc.cluster.local"}
    elif kind == "headless":
        spec["clusterIP"] = "None"
    return {"kind": "Service", "metadata": meta, "spec": spec}


def slice_(key: tuple[str, str], number: int, owner: str, ips: list[int], ready: bool) -> State:
    labels = {"kubernetes.io/service-name": owner}
    endpoints = [
        {"addresses": [f"10.244.0.{n}"], "conditions": {"ready": ready}, "hostname": f"p{n}" if n else ""} for n in ips
    ]
    meta = {"name": f"{key[0]}-{number}", "namespace": key[1], "labels": labels}
    return {"kind": "EndpointSlice", "metadata": meta, "endpoints": endpoints, "ports": [{"name": "http", "port": 80}]}


def pod(key: tuple[str, str], n: int, leaving: bool) -> State:
    meta = {"name": key[0], "namespace": key[1], "deletionTimestamp": "2025-01-01T00:00:00Z" if leaving else None}
    return {"kind": "Pod", "metadata": meta, "status": {"podIP": f"10.244.0.{n}"}}


KEY = st.sampled_from([tuple(name.split(".")) for name in NAMES])
IP = st.integers(0, 3)
OBJECT = st.one_of(
    st.builds(
        service, KEY, IP.map(lambda n: f"10.96.0.{n}"), st.sampled_from(["ClusterIP", "headless", "ExternalName"])
    ),
    st.builds(slice_, KEY, st.integers(0, 1), st.sampled_from(["web", "db"]), st.lists(IP, max_size=3), st.booleans()),
    st.builds(pod, KEY, IP, st.booleans()),
    st.sampled_from(["shop", "ops"]).map(lambda name: {"kind": "Namespace", "metadata": {"name": name}}),
)
HISTORY = st.lists(st.tuples(st.booleans(), OBJECT), max_size=25)


def identity(obj: State) -> tuple[str, str, str]:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def answers(index: Index) -> list[Response | None]:
    return [kubernetes.answer(question, index, CONFIG) for question in QUESTIONS]


def tables(index: Index) -> State:
    return {name: value for name, value in vars(index).items() if name != "serial"}


@given(HISTORY, st.randoms())
@settings(max_examples=300)
def test_the_order_of_events_of_different_objects_does_not_matter(
    history: list[tuple[bool, State]], chance: Any
) -> None:
    by_object: dict[tuple[str, str, str], deque[tuple[bool, State]]] = {}
    for event in history:
        by_object.setdefault(identity(event[1]), deque()).append(event)
    straight, shuffled, fresh = Index(), Index(), Index()
    current: dict[tuple[str, str, str], State] = {}
    for gone, obj in history:
        straight.apply("DELETED" if gone else "MODIFIED", obj)
        current.pop(identity(obj), None)
        if not gone:
            current[identity(obj)] = obj
    while queues := [queue for queue in by_object.values() if queue]:
        gone, obj = chance.choice(queues).popleft()
        shuffled.apply("DELETED" if gone else "MODIFIED", obj)
    for obj in current.values():
        fresh.apply("ADDED", obj)
    fresh.serial = straight.serial  # it counts what was seen, deletions too
    assert tables(straight) == tables(shuffled) == tables(fresh)
    assert answers(straight) == answers(shuffled) == answers(fresh)


def test_backends_come_slice_by_slice_in_the_order_of_names() -> None:
    index = Index()
    for number, ip in ((1, 1), (0, 2)):
        index.apply("ADDED", slice_(("web", "shop"), number, "web", [ip], True))
    assert [backend.address for backend in index.backends("shop/web")] == ["10.244.0.2", "10.244.0.1"]


def test_a_malformed_object_changes_nothing() -> None:
    index = Index()
    index.apply("ADDED", service(("web", "shop"), "10.96.0.1", "ClusterIP"))
    with pytest.raises(msgspec.ValidationError):
        index.apply("MODIFIED", {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": 3})
    assert index.services_at(bytes([10, 96, 0, 1])) == ["shop/web"]


def test_unknown_readiness_counts_as_ready_and_other_kinds_are_passed_over() -> None:
    index = Index()
    labels = {"kubernetes.io/service-name": "web"}
    meta = {"name": "web-1", "namespace": "shop", "labels": labels, "resourceVersion": "41"}
    index.apply("ADDED", {"kind": "EndpointSlice", "metadata": meta, "endpoints": [{"addresses": ["10.244.0.1"]}]})
    index.apply("ADDED", {"kind": "Deployment", "metadata": {"name": "web", "resourceVersion": "99"}})
    assert [backend.address for backend in index.backends("shop/web")] == ["10.244.0.1"]
    assert index.serial == 41
