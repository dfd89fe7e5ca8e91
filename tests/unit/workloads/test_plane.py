"""All controllers together: from manifests to endpoints, whatever the order and the timing."""

from __future__ import annotations

from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.api.objects import Endpoints, EndpointSlice, Service

from .conftest import Plane, bare_pod, deployment, service

BOOKINFO = Path(__file__).parents[2] / "data" / "bookinfo.yaml"


def endpoints(plane, name="web"):
    """Addresses of a Service by its slices: (address, ready, terminating)."""
    found = [s for s in plane.store.views(EndpointSlice) if s.service == name]
    return sorted((e.addresses[0], e.conditions.ready, e.conditions.terminating) for s in found for e in s.endpoints)


def picture(plane):
    """What matters of the whole state: who serves which Service, how many pods each Deployment has, where."""
    pods = {p["metadata"]["uid"]: p for p in plane.store.list("Pod")}
    slices = {}
    for s in plane.store.views(EndpointSlice):
        found = slices.setdefault(s.service, set())
        for e in s.endpoints:
            pod = pods[e.target_ref.uid]
            found.add((pod["metadata"].get("labels", {}).get("app"), e.target_ref.name, e.conditions.ready, s.ports))
    legacy = {
        e.name: {a.target_ref.name for subset in e.subsets for a in subset.addresses}
        for e in plane.store.views(Endpoints)
    }
    return {
        "services": [(s.name, s.spec.cluster_ip) for s in plane.store.views(Service)],
        "slices": {name: len(found) for name, found in slices.items()},
        "agree": {name: {f[1] for f in found} == legacy.get(name) for name, found in slices.items()},
        "replicas": sorted(
            (d["metadata"]["name"], d["status"].get("replicas", 0)) for d in plane.store.list("Deployment")
        ),
        "sets": sorted((rs["metadata"]["name"], rs["spec"]["replicas"]) for rs in plane.store.list("ReplicaSet")),
        "running": sorted(p["metadata"]["labels"].get("app", "") for p in pods.values() if p["spec"].get("nodeName")),
    }


def test_from_manifest_to_endpoints(plane):
    plane.apply(service(), deployment())
    (planned,) = plane.store.views(EndpointSlice)
    assert [e.target_ref.name for e in planned.endpoints] == [p["metadata"]["name"] for p in plane.pods(app="web")]
    assert {e.zone for e in planned.endpoints} == {"a", "b"}
    assert planned.ports[0].port == 8080
    (legacy,) = plane.store.views(Endpoints)
    assert len(legacy.subsets[0].addresses) == 3


def test_terminating_pod_is_seen_until_the_kubelet_is_done(plane):
    plane.apply(service(), deployment(replicas=2))
    plane.finalizing = False
    plane.store.delete("Pod", "default", plane.pods()[0]["metadata"]["name"])
    plane.loop.drain()
    states = [(ready, terminating) for _, ready, terminating in endpoints(plane)]
    assert sorted(states) == [(False, True), (True, False), (True, False)]
    plane.finalizing = True
    plane.settle()
    assert [(ready, terminating) for _, ready, terminating in endpoints(plane)] == [(True, False)] * 2


def test_readiness_moves_endpoints(plane):
    plane.apply(service(), deployment(replicas=2))
    plane.healthy = lambda pod: pod["spec"]["nodeName"] == "node-1"
    plane.settle()
    assert sorted(ready for _, ready, _ in endpoints(plane)) == [False, True]


def test_selector_and_labels_move_endpoints(plane):
    plane.apply(service(), deployment(replicas=1), bare_pod("extra", {"app": "other"}))
    assert len(endpoints(plane)) == 1
    plane.store.update("Pod", "default", "extra", lambda p: p["metadata"].update(labels={"app": "web", "x": "y"}))
    plane.loop.drain()
    plane.apply(service(selector={"x": "y"}))
    assert len(endpoints(plane)) == 1
    plane.store.update("Pod", "default", "extra", lambda p: p["metadata"].update(labels={"app": "other"}))
    plane.loop.drain()
    assert endpoints(plane) == []


def test_zone_of_a_node_reaches_the_slices(plane):
    plane.apply(service(trafficDistribution="PreferClose"), deployment(replicas=1))
    node = plane.pods()[0]["spec"]["nodeName"]
    plane.store.update("Node", "", node, lambda n: n["metadata"]["labels"].update({"topology.kubernetes.io/zone": "z"}))
    plane.loop.drain()
    (planned,) = plane.store.views(EndpointSlice)
    assert planned.endpoints[0].zone == planned.endpoints[0].hints.for_zones[0].name == "z"


def test_slices_go_with_their_service_and_come_back(plane):
    plane.apply(service(), deployment(replicas=1))
    plane.store.delete("EndpointSlice", "default", plane.store.list("EndpointSlice")[0]["metadata"]["name"])
    plane.store.delete("Endpoints", "default", "web")
    plane.loop.drain()
    assert len(endpoints(plane)) == 1 and plane.store.find("Endpoints", "default", "web")
    plane.store.delete("Service", "default", "web")
    plane.loop.drain()
    assert plane.store.list("EndpointSlice") == () and plane.store.list("Endpoints") == ()


def test_hand_written_endpoints_are_mirrored(plane):
    manual = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "web"},
        "subsets": [{"addresses": [{"ip": "203.0.113.10"}], "ports": [{"port": 80}]}],
    }
    plain = service()
    del plain["spec"]["selector"]
    plane.apply(manual, plain)
    (planned,) = plane.store.views(EndpointSlice)
    assert planned.endpoints[0].addresses == ("203.0.113.10",)
    plane.apply(manual, plain)
    plane.store.delete("Endpoints", "default", "web")
    plane.loop.drain()
    assert plane.store.list("EndpointSlice") == ()


def test_namespace_goes(plane):
    home = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    web, front = deployment(), service()
    web["metadata"]["namespace"] = front["metadata"]["namespace"] = "shop"
    plane.apply(web, front, home)
    assert len(endpoints(plane)) == 3
    plane.store.delete("Namespace", "", "shop")
    plane.loop.drain()
    assert plane.failures == []
    assert plane.store.find("Namespace", "", "shop") is None
    assert plane.store.indexed("namespace", "shop") == ()


def test_same_objects_same_lab():
    one, two = Plane(), Plane()
    for plane in (one, two):
        plane.apply(service(), deployment(), deployment("other", 2), bare_pod("p"))
    kinds = ("Service", "ReplicaSet", "Pod", "EndpointSlice", "Endpoints")
    assert all(one.store.list(kind) == two.store.list(kind) for kind in kinds)


def test_applying_again_what_is_running_changes_nothing(plane):
    metadata = {"name": "manual", "labels": {"kubernetes.io/service-name": "web"}}
    sliced = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["203.0.113.10"]}],
        "ports": [{"port": 80}],
    }
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}},
        bare_pod("p", serviceAccountName="robot"),
        bare_pod("q", nodeName="node-2", terminationGracePeriodSeconds=1),
        deployment(strategy={"rollingUpdate": {"maxSurge": 1}}),
        service(type="NodePort"),
        sliced,
    ]
    assert set(plane.apply(*objects)) == {"created"}
    version = plane.store.version
    assert set(plane.apply(*objects)) == {"unchanged"}
    assert plane.store.version == version
    names = [raw["metadata"]["name"] for raw in plane.store.list("EndpointSlice")]
    assert len(names) == 2 and "manual" in names  # nobody's but the user's own


def test_bookinfo(plane):
    objects = [raw for raw in yaml.safe_load_all(BOOKINFO.read_text()) if raw]
    assert set(plane.apply(*objects)) == {"created"}
    assert set(plane.apply(*objects)) == {"unchanged"}
    assert {name: len(endpoints(plane, name)) for name in ("details", "ratings", "reviews", "productpage")} == {
        "details": 1, "ratings": 1, "reviews": 3, "productpage": 1,
    }  # fmt: skip


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["deploy", "image", "service", "selector", "undeploy", "unserve", "kill", "cordon", "zone"]),
        st.sampled_from(["web", "db"]),
        st.integers(0, 4),
        st.booleans(),
    ),
    max_size=12,
)


def put(plane, raw):
    exists = plane.store.find(raw["kind"], "default", raw["metadata"]["name"])
    (plane.admission.replace if exists else plane.admission.create)(raw)


def act(plane, action, name, number):
    """One change, and no reconciling."""
    store = plane.store
    if action in ("deploy", "image"):
        image = f"nginx:{number}" if action == "image" else "nginx:1"
        raw = deployment(name, 2 if action == "image" else number, image)
        put(plane, raw)
    elif action in ("service", "selector"):
        raw = service(name, selector={"app": "web" if action == "selector" else name})
        put(plane, raw)
    elif action in ("undeploy", "unserve"):
        kind = "Deployment" if action == "undeploy" else "Service"
        if store.find(kind, "default", name):
            store.delete(kind, "default", name)
    elif action == "kill" and (pods := plane.pods(app=name)):
        store.delete("Pod", "default", pods[number % len(pods)]["metadata"]["name"])
    elif action == "cordon":
        store.update(
            "Node", "", f"node-{number % 3 + 1}", lambda n: n.setdefault("spec", {}).update(unschedulable=True)
        )
        store.update("Node", "", f"node-{number % 3 + 1}", lambda n: n["spec"].update(unschedulable=False))
    elif action == "zone":
        change = {"topology.kubernetes.io/zone": f"z{number}"}
        store.update("Node", "", f"node-{number % 3 + 1}", lambda n: n["metadata"]["labels"].update(change))


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_batching_of_changes_does_not_matter(steps):
    """Settling after every change, after some, or once at the end: the same Services, replicas and endpoints.

    A rollout that is interrupted may leave an old ReplicaSet or not: it is there if it was seen. So ReplicaSets count
    where they have replicas.
    """
    ends = []
    for settles in (lambda now: True, lambda now: now, lambda now: False):
        plane = Plane()
        for action, name, number, now in steps:
            act(plane, action, name, number)
            if settles(now):
                plane.loop.drain()
        plane.loop.drain()
        assert plane.failures == []
        end = picture(plane)
        end["sets"] = [found for found in end["sets"] if found[1]]
        assert all(end["agree"].values())
        ends.append(end)
        version = plane.store.version
        plane.start()  # controllers that start anew look at everything and find nothing to do
        assert plane.store.version == version
    assert ends[0] == ends[1] == ends[2]
