"""The scheduler's rules about places: taints, affinities, spread."""

from __future__ import annotations

from collections import Counter

import pytest

from labkit.workloads.scheduling import taints

from .conftest import Plane, bare_pod, deployment

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def where(plane, name):
    return plane.get("Pod", name)["spec"].get("nodeName", "")


def message(plane, name):
    (found,) = [c for c in plane.get("Pod", name)["status"]["conditions"] if c["type"] == "PodScheduled"]
    return found["message"].partition(" no new claims")[0]


def taint(plane, node, key, effect, value=""):
    added = {"key": key, "effect": effect, **({"value": value} if value else {})}
    plane.store.update("Node", "", node, lambda n: n.setdefault("spec", {}).setdefault("taints", []).append(added))
    plane.loop.drain()


def allow(plane, **amounts):
    for node in plane.store.list("Node"):
        plane.store.update("Node", "", node["metadata"]["name"], lambda n: n.update(status={"allocatable": amounts}))
    plane.loop.drain()


def term(operator, key, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def node_affinity(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def test_taints(plane):
    for number in (1, 2, 3):
        taint(plane, f"node-{number}", "gpu", "NoSchedule" if number < 3 else "NoExecute", "yes")
    same = {"key": "gpu", "value": "yes"}
    plane.apply(bare_pod("no"), bare_pod("yes", tolerations=[{**same, "effect": "NoSchedule"}]),
                bare_pod("all", tolerations=[{"operator": "Exists"}]))  # fmt: skip
    assert message(plane, "no") == "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: yes}."
    assert where(plane, "yes") in ("node-1", "node-2")
    assert where(plane, "all")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "a", "value": "x"}, True),
        ({"key": "a", "operator": "Equal", "value": "y"}, False),
        ({"key": "a"}, False),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"operator": "Exists"}, True),
        ({"key": "b", "operator": "Exists"}, False),
        ({}, False),
    ],
)
def test_tolerations(toleration, expected):
    assert taints.tolerates(toleration, {"key": "a", "value": "x", "effect": "NoSchedule"}) is expected


def test_a_mild_taint_is_avoided_not_forbidden(plane):
    for number in (1, 3):
        taint(plane, f"node-{number}", "slow", "PreferNoSchedule")
    plane.apply(*(bare_pod(f"p{i}") for i in range(3)))
    assert {where(plane, f"p{i}") for i in range(3)} == {"node-2"}
    plane.store.update("Node", "", "node-2", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    plane.apply(bare_pod("last"))
    assert where(plane, "last") in ("node-1", "node-3")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (node_affinity(term("In", ZONE, "b")), {"node-3"}),
        (node_affinity(term("NotIn", ZONE, "b")), {"node-1", "node-2"}),
        (node_affinity(term("In", ZONE, "b"), term("In", HOSTNAME, "node-1")), {"node-1", "node-3"}),
        (node_affinity(term("Exists", ZONE)), {"node-1", "node-2", "node-3"}),
        (node_affinity(term("DoesNotExist", ZONE)), {""}),
        (
            node_affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-2"]}]}),
            {"node-2"},
        ),
        (node_affinity({}), {""}),
    ],
)
def test_node_affinity(plane, wanted, expected):
    plane.apply(*(bare_pod(f"p{i}", **wanted) for i in range(6)))
    assert {where(plane, f"p{i}") for i in range(6)} == expected


def test_a_preferred_node_is_taken_while_it_can(plane):
    allow(plane, pods="2")
    wish = {"weight": 1, "preference": term("In", HOSTNAME, "node-2")}
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}
    plane.apply(*(bare_pod(f"p{i}", affinity=affinity) for i in range(4)))
    assert Counter(where(plane, f"p{i}") for i in range(4))["node-2"] == 2


def pod_term(key, labels, **more):
    return {"topologyKey": key, "labelSelector": {"matchLabels": labels}, **more}


def required(kind, *terms):
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}}


def test_anti_affinity_one_per_node(plane):
    apart = required("podAntiAffinity", pod_term(HOSTNAME, {"app": "web"}))
    plane.apply(deployment(replicas=4, pod=apart))
    placed = Counter(p["spec"].get("nodeName", "") for p in plane.pods(app="web"))
    assert placed == {"node-1": 1, "node-2": 1, "node-3": 1, "": 1}
    (pending,) = [p["metadata"]["name"] for p in plane.pods(app="web") if "nodeName" not in p["spec"]]
    assert message(plane, pending).startswith("0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules")
    plane.apply(bare_pod("other", {"app": "web"}))
    assert message(plane, "other") == (
        "0/3 nodes are available: 3 node(s) didn't satisfy existing pods anti-affinity rules."
    )
    victim = next(p for p in plane.pods(app="web") if p["spec"].get("nodeName") == "node-2")
    plane.store.delete("Pod", "default", victim["metadata"]["name"])
    plane.loop.drain()
    assert Counter(p["spec"].get("nodeName", "") for p in plane.pods(app="web"))["node-2"] == 1


def test_affinity_follows_and_a_group_may_begin(plane):
    plane.apply(bare_pod("alone", **required("podAffinity", pod_term(ZONE, {"app": "db"}))))
    assert message(plane, "alone") == "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."
    plane.apply(bare_pod("db", {"app": "db"}, nodeSelector={HOSTNAME: "node-3"}))
    assert where(plane, "alone") == "node-3"
    together = required("podAffinity", pod_term(HOSTNAME, {"group": "g"}))
    plane.apply(*(bare_pod(f"g{i}", {"group": "g"}, **together) for i in range(3)))
    assert len({where(plane, f"g{i}") for i in range(3)} - {""}) == 1


def test_affinity_looks_into_its_own_namespace_unless_told(plane):
    plane.store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"t": "x"}}})
    db = bare_pod("db", {"app": "db"}, nodeSelector={HOSTNAME: "node-2"})
    plane.apply({**db, "metadata": {**db["metadata"], "namespace": "shop"}})
    for name, more in (("no", {}), ("named", {"namespaces": ["shop"]}),
                       ("chosen", {"namespaceSelector": {"matchLabels": {"t": "x"}}})):  # fmt: skip
        plane.apply(bare_pod(name, **required("podAffinity", pod_term(HOSTNAME, {"app": "db"}, **more))))
    assert [where(plane, name) for name in ("no", "named", "chosen")] == ["", "node-2", "node-2"]


def test_preferred_pod_affinity(plane):
    plane.apply(bare_pod("db", {"app": "db"}, nodeSelector={HOSTNAME: "node-2"}))
    wish = {"weight": 10, "podAffinityTerm": pod_term(HOSTNAME, {"app": "db"})}
    for kind, expected in (("podAffinity", {"node-2"}), ("podAntiAffinity", {"node-1", "node-3"})):
        affinity = {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}
        plane.apply(*(bare_pod(f"{kind.lower()}{i}", affinity=affinity) for i in range(2)))
        assert {where(plane, f"{kind.lower()}{i}") for i in range(2)} <= expected


def spread(when="DoNotSchedule", key=ZONE, skew=1, **more):
    return {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": when,
            "labelSelector": {"matchLabels": {"app": "web"}}, **more}  # fmt: skip


def test_hard_spread_over_zones():
    plane = Plane(nodes=("a", "a", "a", "b"))
    plane.apply(deployment(replicas=6, pod={"topologySpreadConstraints": [spread()]}))
    zones = Counter("b" if p["spec"]["nodeName"] == "node-4" else "a" for p in plane.pods(app="web"))
    assert zones == {"a": 3, "b": 3}


def test_hard_spread_refuses(plane):
    plane.store.update("Node", "", "node-3", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    plane.apply(deployment(replicas=2, pod={"topologySpreadConstraints": [spread()]}))
    (pending,) = [p["metadata"]["name"] for p in plane.pods(app="web") if "nodeName" not in p["spec"]]
    assert message(plane, pending) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints."
    )


def test_min_domains_and_missing_labels(plane):
    plane.apply(deployment(replicas=3, pod={"topologySpreadConstraints": [spread(minDomains=3)]}))
    assert sum("nodeName" in p["spec"] for p in plane.pods(app="web")) == 2  # one in each of the two zones
    plane.apply(bare_pod("p", {"app": "web"}, topologySpreadConstraints=[spread(key="rack")]))
    assert message(plane, "p") == (
        "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints (missing required label)."
    )


def test_match_label_keys_tell_revisions_apart(plane):
    constraint = spread(key=HOSTNAME, matchLabelKeys=["pod-template-hash"])
    wanted = {"replicas": 3, "strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 0}}}
    plane.apply(deployment(pod={"topologySpreadConstraints": [constraint]}, **wanted))
    plane.apply(deployment(image="nginx:2", pod={"topologySpreadConstraints": [constraint]}, **wanted))
    assert Counter(p["spec"]["nodeName"] for p in plane.pods(app="web")) == {"node-1": 1, "node-2": 1, "node-3": 1}


def test_soft_spread_gives_way(plane):
    plane.apply(*(bare_pod(f"w{i}", {"app": "web"}, nodeSelector={ZONE: "a"}) for i in range(2)))
    plane.apply(bare_pod("p", {"app": "web"}, topologySpreadConstraints=[spread("ScheduleAnyway")]))
    assert where(plane, "p") == "node-3"
    plane.store.update("Node", "", "node-3", lambda n: n.setdefault("spec", {}).update(unschedulable=True))
    plane.apply(bare_pod("q", {"app": "web"}, topologySpreadConstraints=[spread("ScheduleAnyway")]))
    assert where(plane, "q") in ("node-1", "node-2")
