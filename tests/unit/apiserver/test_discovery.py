from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource
from labkit.apiserver.discovery import aggregated, groups, legacy, server

Raw = dict[str, Any]
EVERY = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
OBJECT = ["get", "patch", "update"]


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


def gateway(version: str, **more: Any) -> Resource:
    return Resource("Gateway", f"networking.istio.io/{version}", "gateways", ("gw",), custom=True, **more)


def entries(catalogue: Catalogue, api_version: str) -> dict[str, Raw]:
    answer = legacy.api_resources(catalogue, api_version)
    assert answer is not None
    return {entry["name"]: entry for entry in answer["resources"]}


def test_groups_come_in_the_order_of_a_real_server(catalogue: Catalogue) -> None:
    assert [group["name"] for group in legacy.api_groups(catalogue)["groups"]] == [
        "apiregistration.k8s.io",
        "apps",
        "events.k8s.io",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "storage.k8s.io",
        "apiextensions.k8s.io",
        "scheduling.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "metrics.k8s.io",
    ]


def test_a_group_prefers_its_newest_version(catalogue: Catalogue) -> None:
    assert legacy.api_group(catalogue, "autoscaling") == {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": "autoscaling",
        "versions": [
            {"groupVersion": "autoscaling/v2", "version": "v2"},
            {"groupVersion": "autoscaling/v1", "version": "v1"},
        ],
        "preferredVersion": {"groupVersion": "autoscaling/v2", "version": "v2"},
    }


@pytest.mark.parametrize("name", ["", "v1", "APPS", "extensions", "apps/v1"])
def test_there_is_no_other_group(catalogue: Catalogue, name: str) -> None:
    assert legacy.api_group(catalogue, name) is None


@pytest.mark.parametrize("api_version", ["", "v2", "apps", "apps/v1beta1", "apps/v1/", "/v1", "a/b/c"])
def test_there_is_no_other_version(catalogue: Catalogue, api_version: str) -> None:
    assert legacy.api_resources(catalogue, api_version) is None


def test_the_core_versions() -> None:
    assert legacy.api_versions("10.96.0.1:443") == {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "10.96.0.1:443"}],
    }


def test_a_version_whole(catalogue: Catalogue) -> None:
    assert legacy.api_resources(catalogue, "networking.k8s.io/v1") == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "networking.k8s.io/v1",
        "resources": [
            named("ingressclasses", "ingressclass", False, "IngressClass"),
            named("ingresses", "ingress", True, "Ingress", shortNames=["ing"]),
            status("ingresses", True, "Ingress"),
            named("ipaddresses", "ipaddress", False, "IPAddress", shortNames=["ip"]),
            named("networkpolicies", "networkpolicy", True, "NetworkPolicy", shortNames=["netpol"]),
            named("servicecidrs", "servicecidr", False, "ServiceCIDR"),
            status("servicecidrs", False, "ServiceCIDR"),
        ],
    }


def named(name: str, singular: str, namespaced: bool, kind: str, **more: list[str]) -> Raw:
    return {"name": name, "singularName": singular, "namespaced": namespaced, "kind": kind, "verbs": EVERY, **more}


def status(name: str, namespaced: bool, kind: str) -> Raw:
    where = {"name": f"{name}/status", "singularName": "", "namespaced": namespaced}
    return {**where, "kind": kind, "verbs": OBJECT}


def test_the_core_list_bears_no_version_of_its_own(catalogue: Catalogue) -> None:
    answer = legacy.api_resources(catalogue, "v1")
    assert answer is not None and answer.keys() == {"kind", "groupVersion", "resources"}


@pytest.mark.parametrize(
    ("name", "kind", "verbs"),
    [
        ("bindings", "Binding", ["create"]),
        ("namespaces/finalize", "Namespace", ["update"]),
        ("pods/attach", "PodAttachOptions", ["create", "get"]),
        ("pods/binding", "Binding", ["create"]),
        ("pods/exec", "PodExecOptions", ["create", "get"]),
        ("pods/log", "Pod", ["get"]),
        ("pods/portforward", "PodPortForwardOptions", ["create", "get"]),
        ("pods/status", "Pod", OBJECT),
        ("services/status", "Service", OBJECT),
    ],
)
def test_core_entries(catalogue: Catalogue, name: str, kind: str, verbs: list[str]) -> None:
    entry = entries(catalogue, "v1")[name]
    assert (entry["kind"], entry["verbs"]) == (kind, verbs)
    assert "group" not in entry


@pytest.mark.parametrize(
    ("api_version", "name", "group", "kind"),
    [
        ("apps/v1", "deployments/scale", "autoscaling", "Scale"),
        ("v1", "pods/eviction", "policy", "Eviction"),
        ("v1", "serviceaccounts/token", "authentication.k8s.io", "TokenRequest"),
    ],
)
def test_subresources_of_another_group_say_so(
    catalogue: Catalogue, api_version: str, name: str, group: str, kind: str
) -> None:
    entry = entries(catalogue, api_version)[name]
    assert (entry["group"], entry["version"], entry["kind"]) == (group, "v1", kind)


def test_custom_resources_come_and_go(catalogue: Catalogue) -> None:
    before = legacy.api_groups(catalogue)
    added = [gateway("v1beta1"), gateway("v1", subresources=("scale", "status"), categories=("istio-io",))]
    catalogue.add(added)
    group = legacy.api_groups(catalogue)["groups"][-2]
    assert group["name"] == "networking.istio.io"
    assert [v["version"] for v in group["versions"]] == ["v1", "v1beta1"]
    found = entries(catalogue, "networking.istio.io/v1")
    assert list(found) == ["gateways", "gateways/scale", "gateways/status"]
    assert found["gateways/scale"]["kind"] == "Scale" and found["gateways/status"]["kind"] == "Gateway"
    assert found["gateways"]["categories"] == ["istio-io"]
    catalogue.remove(added)
    assert legacy.api_groups(catalogue) == before


def test_a_custom_resource_named_as_a_built_in_one_has_no_part_in_its_subresources(catalogue: Catalogue) -> None:
    catalogue.add([Resource("Pod", "example.com/v1", "pods", custom=True, subresources=("status",))])
    assert entries(catalogue, "example.com/v1")["pods/status"]["kind"] == "Pod"
    listed = aggregated.group_list(catalogue, False, "v2")["items"][-2]["versions"][0]["resources"][0]
    kind = {"group": "example.com", "version": "v1", "kind": "Pod"}
    assert listed["subresources"] == [{"subresource": "status", "responseKind": kind, "verbs": OBJECT}]


def test_metrics_come_after_custom_groups(catalogue: Catalogue) -> None:
    catalogue.add([gateway("v1")])
    assert [g.name for g in groups.groups(catalogue)][-2:] == ["networking.istio.io", "metrics.k8s.io"]


@given(st.permutations(["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "foo1", "foo10", "v0"]))
def test_versions_rank_as_the_documentation_lists_them(names: list[str]) -> None:
    ranked = sorted(names, key=groups.version_rank, reverse=True)
    assert ranked == ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "foo1", "foo10", "v0"]


@pytest.mark.parametrize("version", aggregated.VERSIONS)
def test_aggregated_core(catalogue: Catalogue, version: str) -> None:
    answer = aggregated.group_list(catalogue, True, version)
    assert answer["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    (core,) = answer["items"]
    assert core["metadata"] == {}
    (v1,) = core["versions"]
    assert (v1["version"], v1["freshness"]) == ("v1", "Current")
    pods = next(entry for entry in v1["resources"] if entry["resource"] == "pods")
    assert pods | {"subresources": []} == {
        "resource": "pods",
        "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
        "scope": "Namespaced",
        "singularResource": "pod",
        "verbs": EVERY,
        "shortNames": ["po"],
        "categories": ["all"],
        "subresources": [],
    }
    eviction = next(sub for sub in pods["subresources"] if sub["subresource"] == "eviction")
    kind = {"group": "policy", "version": "v1", "kind": "Eviction"}
    assert eviction == {"subresource": "eviction", "responseKind": kind, "verbs": ["create"]}


def test_both_discoveries_tell_the_same(catalogue: Catalogue) -> None:
    catalogue.add([gateway("v1", subresources=("status",))])
    for group in aggregated.group_list(catalogue, False, "v2")["items"]:
        for version in group["versions"]:
            told = {
                (name, tuple(sub["verbs"]))
                for entry in version["resources"]
                for name, sub in [
                    (entry["resource"], entry),
                    *((f"{entry['resource']}/{s['subresource']}", s) for s in entry.get("subresources", ())),
                ]
            }
            listed = entries(catalogue, f"{group['metadata']['name']}/{version['version']}")
            assert told == {(name, tuple(entry["verbs"])) for name, entry in listed.items()}


AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BETA = AGGREGATED.replace("v=v2", "v=v2beta1")


@pytest.mark.parametrize(
    ("accept", "version"),
    [
        (f"{AGGREGATED},{BETA},application/json", "v2"),
        (f"{BETA},application/json", "v2beta1"),
        (BETA.replace(";", "; "), "v2beta1"),
        (f"{AGGREGATED.replace('v=v2', 'v=v3')},{BETA}", "v2beta1"),
        ("application/json", ""),
        ("application/json, */*", ""),
        (f"application/json,{AGGREGATED}", ""),
        ("", ""),
        ("*/*", ""),
        (";;,=;,application/json;g;v;as", ""),
        (AGGREGATED.replace("APIGroupDiscoveryList", "Table"), ""),
        (AGGREGATED.replace("json", "vnd.kubernetes.protobuf"), ""),
    ],
)
def test_what_a_client_asks_for(accept: str, version: str) -> None:
    assert aggregated.asked_for(accept) == version


def test_the_content_type_is_the_one_asked_for() -> None:
    assert [aggregated.content_type(version) for version in aggregated.VERSIONS] == [AGGREGATED, BETA]


def test_the_version() -> None:
    told = server.version()
    assert (told["major"], told["minor"]) == ("1", "34")
    assert told["gitVersion"].startswith("v1.34.")
    assert told["platform"].startswith("linux/")


def test_the_paths(catalogue: Catalogue) -> None:
    found = server.paths(catalogue)["paths"]
    assert found == sorted(found)
    assert {"/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/livez", "/openapi/v3", "/version"} <= {*found}
    assert "/apis/" not in found
