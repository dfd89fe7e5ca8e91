"""What the DNS server is told of the cluster's changes: enough for its answers, and no more."""

from typing import Any

import pytest

from labkit.dns.index import Index
from labkit.dns.watched import told

Raw = dict[str, Any]


def pod(ip: str = "", going: bool = False, **spec: Any) -> Raw:
    metadata = {"name": "p", "namespace": "default", "resourceVersion": "7"}
    metadata |= {"deletionTimestamp": "2025-01-31T12:00:00Z"} if going else {}
    status = {"phase": "Pending", **({"podIP": ip, "podIPs": [{"ip": ip}]} if ip else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def config_map(namespace: str, name: str) -> Raw:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}, "data": {}}


@pytest.mark.parametrize(
    ("change", "new", "old"),
    [
        ("ADDED", pod(), None),
        ("MODIFIED", pod(nodeName="n"), pod()),
        ("MODIFIED", pod("10.0.0.1", nodeName="n"), pod("10.0.0.1")),
        ("MODIFIED", pod(going=True), pod()),
        ("DELETED", pod("10.0.0.1", going=True), pod("10.0.0.1", going=True)),
        ("DELETED", pod(), pod()),
        ("ADDED", config_map("kube-system", "other"), None),
        ("MODIFIED", config_map("default", "coredns"), config_map("default", "coredns")),
    ],
)
def test_what_changes_no_answer_is_not_told(change, new, old):
    assert told(change, new, old) is None


@pytest.mark.parametrize(
    ("change", "new", "old", "found"),
    [
        ("ADDED", pod("10.0.0.1"), None, True),
        ("MODIFIED", pod("10.0.0.1"), pod(), True),
        ("MODIFIED", pod("10.0.0.1"), pod("10.0.0.2"), True),
        ("MODIFIED", pod("10.0.0.1", going=True), pod("10.0.0.1"), False),
        ("DELETED", pod("10.0.0.1"), pod("10.0.0.1"), False),
    ],
)
def test_an_address_that_comes_or_goes_reaches_the_index(change, new, old, found):
    index = Index()
    index.apply("ADDED", pod("10.0.0.1"))
    heard = told(change, new, old)
    assert heard is not None
    assert "spec" not in heard
    index.apply(change, heard)
    assert index.pod_at(bytes([10, 0, 0, 1]), "default") is found


def test_the_corefile_and_what_has_names_is_told_whole():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "a", "name": "b"}, "spec": {}}
    for raw in (service, config_map("kube-system", "coredns")):
        assert told("DELETED", raw, raw) is raw
