"""Which groups are registered, and what pods and nodes take, as an API of its own."""

from __future__ import annotations

from fuzz_bed import Bed
from fuzz_samples import DEFINITION, sample

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
METRICS = "/apis/metrics.k8s.io/v1beta1"


def names(bed: Bed) -> set[str]:
    return {raw["metadata"]["name"] for raw in bed.ask("GET", SERVICES).json["items"]}


def test_every_version_is_registered_and_comes_back(bed: Bed) -> None:
    groups = bed.ask("GET", "/apis").json["groups"]
    served = {f"{each['version']}.{group['name']}" for group in groups for each in group["versions"]} | {"v1."}
    assert names(bed) == served >= {"v1beta1.metrics.k8s.io", "v2.autoscaling"}
    one = bed.ask("GET", f"{SERVICES}/v1beta1.metrics.k8s.io").json
    assert [(c["type"], c["status"], c["reason"]) for c in one["status"]["conditions"]] == [
        ("Available", "True", "Local")
    ]
    assert bed.ask("DELETE", f"{SERVICES}/v1.apps").status == 200
    assert names(bed) == served
    assert bed.ask("PUT", f"{SERVICES}/v1beta1.metrics.k8s.io?dryRun=All", one).status == 200


def test_custom_groups_are_registered_while_they_are_served(bed: Bed) -> None:
    own = {"metadata": {"name": "v1.b.example"}, **sample("APIService")}
    assert bed.ask("POST", SERVICES, own).status == 201
    before = names(bed)
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert bed.ask("POST", definitions, DEFINITION).status == 201
    assert names(bed) - before == {"v1.kitchen.example"}
    assert bed.ask("DELETE", f"{definitions}/recipes.kitchen.example").status == 200
    assert names(bed) == before  # with the one that somebody else registered


def test_metrics(bed: Bed) -> None:
    pods = "/api/v1/namespaces/default/pods"
    for name in "abc":
        made = {"metadata": {"name": name, "labels": {"is": name}}, **sample("Pod")}
        assert bed.ask("POST", pods, made).status == 201
    for name in "ab":  # c does not run
        pod = bed.ask("GET", f"{pods}/{name}").json
        assert bed.ask("PUT", f"{pods}/{name}/status", {**pod, "status": {"phase": "Running"}}).status == 200
        bed.usage[pod["metadata"]["uid"]] = {"main": (1_500_000, 3 * 2**20), "side": (500, 1024)}
    listed = bed.ask("GET", f"{METRICS}/pods").json
    assert (listed["kind"], [raw["metadata"]["name"] for raw in listed["items"]]) == ("PodMetricsList", ["a", "b"])
    assert listed["items"][0]["containers"] == [
        {"name": "main", "usage": {"cpu": "1500000n", "memory": "3072Ki"}},
        {"name": "side", "usage": {"cpu": "500n", "memory": "1Ki"}},
    ]
    some = bed.ask("GET", f"{METRICS}/namespaces/default/pods?labelSelector=is%3Db", raw_path=True).json["items"]
    assert [raw["metadata"]["name"] for raw in some] == ["b"]
    assert bed.ask("GET", f"{METRICS}/namespaces/kube-system/pods").json["items"] == []
    assert bed.ask("GET", f"{METRICS}/namespaces/default/pods/a").json["kind"] == "PodMetrics"
    missing = bed.ask("GET", f"{METRICS}/namespaces/default/pods/c")
    assert (missing.status, missing.json["message"]) == (404, 'pods.metrics.k8s.io "default/c" not found')
    nodes = bed.ask("GET", f"{METRICS}/nodes").json["items"]
    assert [raw["metadata"]["name"] for raw in nodes] == ["node-1", "node-2"]
    assert sorted(raw["usage"]["cpu"] for raw in nodes) == ["1500500n", "1500500n"]
    table = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    assert bed.ask("GET", f"{METRICS}/nodes/node-1", headers=table).json["rows"][0]["cells"][0] == "node-1"
    for method, path in (("POST", "pods"), ("DELETE", "nodes/node-1"), ("GET", "pods?watch=1")):
        assert bed.ask(method, f"{METRICS}/{path}", {}).status == 405
