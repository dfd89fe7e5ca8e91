from __future__ import annotations

from typing import Any

from labkit.api import kinds
from labkit.lab.tables import rows

Raw = dict[str, Any]


def pod(name: str, **more: Any) -> Raw:
    ended = {"terminated": {"finishedAt": "2025-01-31T12:00:00Z"}}
    container = {"name": "c", "ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": ended}
    meta = {"name": name, "namespace": "shop", "labels": {"example.com/tier": "front"}, **more}
    status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [container]}
    return {"metadata": meta, "spec": {"containers": [{"name": "c"}], "nodeName": "node-1"}, "status": status}


def test_a_row_is_kubectls_wide_one_without_ages() -> None:
    (row,) = rows(kinds.resource("po"), [pod("web")], False)
    expected = {"NAME": "web", "READY": "1/1", "STATUS": "Running", "RESTARTS": 2, "IP": "10.0.0.1", "NODE": "node-1"}
    assert list(row.items()) == list(expected.items())


def test_namespaces_come_first_and_labels_last() -> None:
    keys = ["example.com/tier", "zone"]
    (row,) = rows(kinds.resource("po"), [pod("web")], True, keys)
    assert next(iter(row)) == "NAMESPACE" and row["NAMESPACE"] == "shop"
    assert list(row.items())[-2:] == [("TIER", "front"), ("ZONE", "")]


def test_no_row_changes_with_time() -> None:
    for resource in kinds.RESOURCES:
        if resource.kind in ("Pod", "RoleBinding", "ClusterRoleBinding"):
            continue
        old, new = ({"metadata": {"name": "x", "creationTimestamp": f"20{y}-01-01T00:00:00Z"}} for y in (10, 20))
        assert rows(resource, [old], False) == rows(resource, [new], False)


def test_addresses_are_whole_and_in_order() -> None:
    endpoints = [{"addresses": [f"10.0.0.{n}"]} for n in (4, 2, 3, 1)]
    o = {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints}
    (row,) = rows(kinds.resource("endpointslices"), [o], False)
    assert row["ENDPOINTS"] == "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4"
