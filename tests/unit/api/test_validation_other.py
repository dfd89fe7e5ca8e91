"""Metadata, EndpointSlices, Endpoints, Nodes, ConfigMaps."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api import validation
from labkit.api.defaults import default
from labkit.api.problem import Problem


def problems(kind: str, version: str = "v1", meta: dict[str, Any] | None = None, **fields: Any) -> list[Problem]:
    obj = {"apiVersion": version, "kind": kind, "metadata": meta or {"name": "web"}, **fields}
    return validation.problems(default(obj))


def endpoint_slice(**fields: Any) -> list[Problem]:
    return problems("EndpointSlice", "discovery.k8s.io/v1", **{"addressType": "IPv4", "endpoints": [], **fields})


@pytest.mark.parametrize(
    ("kind", "name", "good"),
    [
        ("ServiceAccount", "a.b-1", True),
        ("ServiceAccount", "1a", True),
        ("ServiceAccount", "A", False),
        ("ServiceAccount", "a" * 254, False),
        ("Namespace", "a-1", True),
        ("Namespace", "a.b", False),
        ("Namespace", "a" * 64, False),
        ("Role", "system:Node_1", True),
        ("Role", "a/b", False),
        ("Role", "..", False),
    ],
)
def test_names(kind: str, name: str, good: bool) -> None:
    version = "rbac.authorization.k8s.io/v1" if kind == "Role" else "v1"
    found = problems(kind, version, {"name": name})
    assert [p.field for p in found][:1] == ([] if good else ["metadata.name"])


@pytest.mark.parametrize("name", ["1web", "web.shop", "Web", "web-"])
def test_names_of_services_begin_with_a_letter(name: str) -> None:
    (found,) = problems("Service", meta={"name": name}, spec={"clusterIP": "None"})
    assert found.message == (
        f"Invalid value: \"{name}\": a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
        "with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex "
        "used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
    )


@pytest.mark.parametrize(
    ("meta", "field", "message"),
    [
        ({"labels": {}}, "metadata.name", "Required value: name or generateName is required"),
        ({"name": "x", "labels": {"a/b/c": ""}}, "metadata.labels[a/b/c]", None),
        ({"name": "x", "labels": {"/b": ""}}, "metadata.labels[/b]",
         'Invalid value: "/b": prefix part must be non-empty'),
        ({"name": "x", "labels": {"example.com/": ""}}, "metadata.labels[example.com/]",
         'Invalid value: "example.com/": name part must be non-empty'),
        ({"name": "x", "labels": {"Example.com/a": ""}}, "metadata.labels[Example.com/a]", None),
        ({"name": "x", "labels": {"a": "b" * 64}}, "metadata.labels[a]",
         f'Invalid value: "{"b" * 64}": must be no more than 63 bytes'),
        ({"name": "x", "labels": {"a": "-b"}}, "metadata.labels[a]", None),
        ({"name": "x", "annotations": {"a b": "any text / at all"}}, "metadata.annotations[a b]", None),
        ({"name": "x", "annotations": {"a": "x" * 300_000}}, "metadata.annotations",
         "Too long: may not be more than 262144 bytes"),
        ({"name": "x", "namespace": "a.b"}, "metadata.namespace", None),
    ],
)  # fmt: skip
def test_bad_metadata(meta: dict[str, Any], field: str, message: str | None) -> None:
    (found,) = problems("ServiceAccount", meta=meta)
    assert found.field == field
    assert message is None or found.message == message


def test_cluster_wide_kinds_have_no_namespace() -> None:
    (found,) = problems("Node", meta={"name": "node-1", "namespace": "shop"})
    assert (found.field, found.message) == ("metadata.namespace", "Forbidden: not allowed on this type")
    assert found.remedy == "Remove the namespace: a Node belongs to the whole cluster."


def test_generated_names() -> None:
    assert problems("ServiceAccount", meta={"generateName": "web-"}) == []
    (found,) = problems("ServiceAccount", meta={"generateName": "Web-"})
    assert found.field == "metadata.generateName"


def test_good_slice() -> None:
    endpoint = {"addresses": ["10.244.1.2"], "nodeName": "node-1", "zone": "a", "hostname": "web-0"}
    assert (
        endpoint_slice(endpoints=[endpoint], ports=[{"port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]) == []
    )
    assert endpoint_slice(addressType="FQDN", endpoints=[{"addresses": ["example.com"]}]) == []
    assert endpoint_slice(addressType="IPv6", endpoints=[{"addresses": ["2001:db8::1"]}]) == []


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"addressType": "IPv5"}, "addressType",
         'Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"'),
        ({"endpoints": [{"addresses": ["10.0.0.1"]}] * 1001}, "endpoints",
         "Too many: 1001: must have at most 1000 items"),
        ({"endpoints": [{"addresses": []}]}, "endpoints[0].addresses",
         "Required value: must contain at least 1 address"),
        ({"endpoints": [{"addresses": ["10.0.0.1"] * 101}]}, "endpoints[0].addresses",
         "Too many: 101: must have at most 100 items"),
        ({"endpoints": [{"addresses": ["2001:db8::1"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "2001:db8::1": must be an IPv4 address'),
        ({"endpoints": [{"addresses": ["169.254.1.1"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)'),
        ({"endpoints": [{"addresses": ["0.0.0.0"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'),
        ({"endpoints": [{"addresses": ["224.0.0.5"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "224.0.0.5": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "hostname": "A"}]}, "endpoints[0].hostname", None),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "z"}] * 9}}]},
         "endpoints[0].hints.forZones", "Too many: 9: must have at most 8 items"),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "z"}, {"name": "z"}]}}]},
         "endpoints[0].hints.forZones[1].name", 'Duplicate value: "z"'),
        ({"endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forNodes": [{"name": "Node_1"}]}}]},
         "endpoints[0].hints.forNodes[0].name", None),
        ({"endpoints": [{"addresses": ["127.0.0.1"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'),
        ({"addressType": "IPv6", "endpoints": [{"addresses": ["10.0.0.1"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "10.0.0.1": must be an IPv6 address'),
        ({"addressType": "IPv6", "endpoints": [{"addresses": ["fe80::1"]}]}, "endpoints[0].addresses[0]",
         'Invalid value: "fe80::1": may not be in the link-local range (169.254.0.0/16, fe80::/10)'),
        ({"ports": [{"port": 1}] * 101}, "ports", "Too many: 101: must have at most 100 items"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "ports[1].name", 'Duplicate value: ""'),
        ({"ports": [{"port": 0}]}, "ports[0].port", "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"ports": [{"port": 1, "protocol": "ICMP"}]}, "ports[0].protocol", None),
    ],
)  # fmt: skip
def test_bad_slice(fields: dict[str, Any], field: str, message: str | None) -> None:
    (found,) = endpoint_slice(**fields)
    assert found.field == field
    assert message is None or found.message == message


@pytest.mark.parametrize(
    ("subset", "field"),
    [
        ({"ports": [{"port": 80}]}, "subsets[0]"),
        ({"addresses": [{"ip": "127.0.0.1"}]}, "subsets[0].addresses[0].ip"),
        ({"notReadyAddresses": [{"ip": "x"}]}, "subsets[0].notReadyAddresses[0].ip"),
        ({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 0}]}, "subsets[0].ports[0].port"),
        ({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1, "name": "a"}, {"port": 2}]},
         "subsets[0].ports[1].name"),
    ],
)  # fmt: skip
def test_bad_endpoints(subset: dict[str, Any], field: str) -> None:
    assert [p.field for p in problems("Endpoints", subsets=[subset])] == [field]


def test_good_endpoints() -> None:
    assert problems("Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]) == []


def test_node_ranges() -> None:
    found = problems("Node", spec={"podCIDRs": ["10.244.1.0/24", "10.244.1.0/24", "10.244.1.0"]})
    assert [p.field for p in found] == ["spec.podCIDRs[1]", "spec.podCIDRs[2]"]


@pytest.mark.parametrize("key", ["a b", "..", "..a", ".", "a" * 254])
def test_config_keys_are_file_names(key: str) -> None:
    (found,) = problems("ConfigMap", data={key: "", "app.conf": ""})
    assert found.field == f"data[{key}]"
