"""Mirroring of hand-written Endpoints."""

from __future__ import annotations

import msgspec
import pytest

from labkit.api.objects import Endpoints, view
from labkit.endpoints.mirroring import MANAGER, plan, skipped, wanted

SUBSET = {
    "addresses": [{"ip": "192.0.2.1"}, {"ip": "2001:DB8::1"}],
    "notReadyAddresses": [{"ip": "192.0.2.2", "hostname": "h"}],
    "ports": [{"name": "http", "port": 80}],
}


def endpoints(*subsets, **metadata):
    metadata = {"name": "web", "namespace": "default", "uid": "uid-e", **metadata}
    return view({"kind": "Endpoints", "metadata": metadata, "subsets": list(subsets)}, Endpoints)


def stored(planned):
    named = []
    for number, made in enumerate(planned):
        metadata = msgspec.structs.replace(made.metadata, name=made.name or f"web-{number}")
        named.append(msgspec.structs.replace(made, metadata=metadata))
    return named


def test_one_slice_for_each_family():
    planned = plan(endpoints(SUBSET, labels={"team": "x"}), [])
    assert [(s.address_type, [e.addresses[0] for e in s.endpoints]) for s in planned] == [
        ("IPv4", ["192.0.2.1", "192.0.2.2"]),
        ("IPv6", ["2001:db8::1"]),
    ]
    first = planned[0]
    assert [(e.conditions.ready, e.hostname) for e in first.endpoints] == [(True, ""), (False, "h")]
    assert first.metadata.labels == {
        "team": "x", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": MANAGER,
    }  # fmt: skip
    assert (first.metadata.generate_name, first.metadata.owner_references[0].kind) == ("web-", "Endpoints")


def test_annotations_but_for_two():
    last = "kubectl.kubernetes.io/last-applied-configuration"
    (planned, _) = plan(endpoints(SUBSET, annotations={last: "{}", "a": "b"}), [])
    assert planned.metadata.annotations == {"a": "b"}


def test_second_time_and_reordering_change_nothing():
    existing = stored(plan(endpoints(SUBSET), []))
    assert list(plan(endpoints(SUBSET), existing)) == existing
    two = {"addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]}
    existing = stored(plan(endpoints(two), []))
    assert list(plan(endpoints({"addresses": two["addresses"][::-1]}), existing)) == existing


def test_changes_reuse_slices():
    existing = stored(plan(endpoints(SUBSET), []))
    other_port = plan(endpoints({**SUBSET, "ports": [{"port": 81}]}), existing)
    assert sorted(s.name for s in other_port) == ["web-0", "web-1"]
    (only_four,) = plan(endpoints({"addresses": [{"ip": "192.0.2.9"}], "ports": SUBSET["ports"]}), existing)
    assert (only_four.name, only_four.endpoints[0].addresses) == ("web-0", ("192.0.2.9",))
    assert plan(endpoints(), existing) == ()


def test_subsets_of_the_same_ports_join_and_a_thousand_is_the_most():
    (planned,) = plan(endpoints({"addresses": [{"ip": "192.0.2.1"}]}, {"addresses": [{"ip": "192.0.2.2"}]}), [])
    assert len(planned.endpoints) == 2
    many = [{"ip": f"10.0.{n // 250}.{n % 250}"} for n in range(1200)]
    (planned,) = plan(endpoints({"addresses": many}), [])
    assert len(planned.endpoints) == 1000


@pytest.mark.parametrize(
    ("metadata", "selector", "expected"),
    [
        ({}, {}, True),
        ({}, {"app": "web"}, False),
        ({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, {}, False),
        ({"annotations": {"control-plane.alpha.kubernetes.io/leader": "x"}}, {}, False),
    ],
)
def test_wanted(service, metadata, selector, expected):
    assert wanted(endpoints(SUBSET, **metadata), service(selector=selector)) is expected
    assert wanted(endpoints(SUBSET, **metadata), None) is False


def test_how_many_are_left_out():
    many = [{"ip": f"10.0.{n // 250}.{n % 250 + 1}"} for n in range(1003)]
    assert skipped(endpoints({"addresses": many[:1002], "notReadyAddresses": many[1002:]}, SUBSET)) == 3
    assert skipped(endpoints(SUBSET)) == 0
