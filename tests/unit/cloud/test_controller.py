"""The service controller over a store: addresses, finalizer, status, Events."""

from __future__ import annotations

import pytest

from labkit.control.admission import Admission
from labkit.control.namespaces import create_initial
from labkit.control.reconcile import Loop
from labkit.control.store import Store
from labkit.services.cloud.balancer import FINALIZER
from labkit.services.cloud.controller import ServiceController

from .conftest import PREFIX, new_node, new_service

ENSURED = ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]


class Bed:
    """A store with the controller; nothing may fail in it."""

    def __init__(self, network="198.51.100.0/24", nodes=2):
        self.store = Store(1)
        create_initial(Admission(self.store))
        self.now = 0.0
        controller = ServiceController(self.store, {"IPv4": network})
        self.loop = Loop(self.store, [controller], self.failed, clock=lambda: self.now)
        for number in range(1, nodes + 1):
            self.store.create(new_node(number))
        self.loop.drain()

    def failed(self, failure):
        raise AssertionError(str(failure))

    def create(self, *args, **parts):
        self.store.create(new_service(*args, **parts))
        self.loop.drain()

    def change(self, name="web", metadata=None, **spec):
        def write(raw):
            raw["spec"].update(spec)
            raw["metadata"].update(metadata or {})

        self.store.update("Service", "default", name, write)
        self.loop.drain()

    def delete(self, kind="Service", name="web"):
        self.store.delete(kind, "default" if kind == "Service" else "", name)
        self.loop.drain()

    def service(self, name="web"):
        return self.store.find("Service", "default", name)

    def address(self, name="web"):
        ingress = self.service(name)["status"].get("loadBalancer", {}).get("ingress", [])
        return [(each["ip"], each["ipMode"]) for each in ingress]

    def said(self):
        """Reasons and messages of all Events since the last call, in order."""
        events = sorted(self.store.list("Event"), key=self.store.created)
        for event in events:
            self.store.delete("Event", "default", event["metadata"]["name"])
        assert {event["source"]["component"] for event in events} <= {"service-controller"}
        return [(event["type"], event["reason"], event["message"]) for event in events]

    def reasons(self):
        return [reason for _, reason, _ in self.said()]


@pytest.fixture
def bed():
    return Bed()


def test_a_service_gets_an_address_and_is_held(bed):
    bed.create()
    assert bed.address() == [("198.51.100.1", "VIP")]
    assert bed.service()["metadata"]["finalizers"] == [FINALIZER]
    assert bed.said() == [
        ("Normal", "EnsuringLoadBalancer", "Ensuring load balancer"),
        ("Normal", "EnsuredLoadBalancer", "Ensured load balancer"),
    ]
    bed.create("second", annotations={"ip-mode": "Proxy"})
    assert bed.address("second") == []
    assert bed.said()[-1][1] == "SyncLoadBalancerFailed"  # without a node port there is nothing to connect to
    bed.change("second", ports=[{"port": 80, "protocol": "TCP", "nodePort": 30080}])
    assert bed.address("second") == [("198.51.100.2", "Proxy")]


def test_what_is_no_matter_of_this_cloud(bed):
    bed.create("other", loadBalancerClass="example.com/other")
    bed.create("plain", type="NodePort")
    bed.delete(name="other")
    assert bed.said() == [] and bed.service("other") is None
    assert "finalizers" not in bed.service("plain")["metadata"]


def test_a_deleted_service_goes_and_its_address_is_free(bed):
    bed.create()
    bed.said()
    bed.delete()
    assert bed.service() is None
    assert bed.said() == [
        ("Normal", "DeletingLoadBalancer", "Deleting load balancer"),
        ("Normal", "DeletedLoadBalancer", "Deleted load balancer"),
    ]
    bed.create("next")
    assert bed.address("next") == [("198.51.100.1", "VIP")]


def test_somebody_elses_finalizer_stays(bed):
    bed.create()
    bed.change(metadata={"finalizers": ["example.com/mine", FINALIZER]})
    bed.delete()
    assert bed.service()["metadata"]["finalizers"] == ["example.com/mine"]
    assert bed.address() == []


def test_type_changes_in_place(bed):
    bed.create()
    bed.said()
    bed.change(type="ClusterIP")
    assert bed.address() == [] and "finalizers" not in bed.service()["metadata"]
    assert bed.said()[0] == ("Normal", "Type", "LoadBalancer -> ClusterIP")
    bed.change(type="LoadBalancer")
    assert bed.address() == [("198.51.100.1", "VIP")]
    assert bed.reasons() == ["Type", *ENSURED]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loadBalancerSourceRanges": ["10.0.0.0/8", "192.0.2.0/24"]}, "[] -> [10.0.0.0/8 192.0.2.0/24]"),
        ({"externalIPs": ["192.0.2.1"]}, "Count: 0 -> 1"),
        ({"externalTrafficPolicy": "Local"}, "Cluster -> Local"),
        ({"healthCheckNodePort": 30001}, "0 -> 30001"),
        ({"ports": [{"port": 81, "protocol": "TCP"}]}, None),
        ({"sessionAffinity": "ClientIP"}, None),
        ({"metadata": {"annotations": {"a": "b"}}}, None),
    ],
)
def test_what_makes_it_look_again(bed, change, said):
    bed.create()
    bed.said()
    bed.change(**change)
    messages = [message for _, _, message in bed.said()]
    assert messages == [*([said] if said else []), "Ensuring load balancer", "Ensured load balancer"]


def test_what_does_not(bed):
    bed.create()
    bed.said()
    bed.change(selector={"app": "web"})
    bed.change(metadata={"labels": {"a": "b"}})
    bed.change(trafficDistribution="PreferClose")
    assert bed.said() == []


def test_nodes_come_and_go(bed):
    bed.create()
    bed.said()
    bed.store.create(new_node(3))
    bed.loop.drain()
    assert bed.said() == [("Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts")]
    bed.store.update("Node", "", "node-3", lambda raw: raw["status"].update(conditions=[]))
    bed.loop.drain()
    assert bed.said() == []  # a node that is not ready stays: the health check finds out
    label = {"node.kubernetes.io/exclude-from-external-load-balancers": "true"}
    bed.store.update("Node", "", "node-3", lambda raw: raw["metadata"].update(labels=label))
    bed.loop.drain()
    assert bed.reasons() == ["UpdatedLoadBalancer"]
    for number in (1, 2):
        bed.delete("Node", f"node-{number}")
    assert bed.said()[-1] == ("Warning", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer")
    bed.change(sessionAffinity="ClientIP")
    assert bed.reasons() == ["EnsuringLoadBalancer", "UnAvailableLoadBalancer", "EnsuredLoadBalancer"]


def test_an_exhausted_pool_is_said_and_tried_again():
    bed = Bed("198.51.100.0/30")
    for name in ("a", "b", "c"):
        bed.create(name)
    assert (bed.address("a"), bed.address("b"), bed.address("c")) == (
        [("198.51.100.1", "VIP")], [("198.51.100.2", "VIP")], [],
    )  # fmt: skip
    why = "no address is free in 198.51.100.0/30: 2 load balancers have one"
    assert bed.said()[-1] == (
        "Warning",
        "SyncLoadBalancerFailed",
        f"Error syncing load balancer: failed to ensure load balancer: {why}",
    )
    bed.delete(name="b")
    assert bed.address("c") == []
    bed.now += 5
    bed.loop.drain()
    assert bed.address("c") == [("198.51.100.2", "VIP")]


def test_an_address_that_is_asked_for(bed):
    bed.create(loadBalancerIP="198.51.100.77")
    assert bed.address() == [("198.51.100.77", "VIP")]
    bed.change(loadBalancerIP="198.51.100.78")
    assert bed.address() == [("198.51.100.78", "VIP")]
    assert "198.51.100.77 -> 198.51.100.78" in [message for _, _, message in bed.said()]
    bed.create("second", loadBalancerIP="198.51.100.78")
    assert bed.address("second") == []
    assert bed.said()[-1][2].endswith("the address 198.51.100.78 belongs to another load balancer")


def test_bad_annotations_leave_it_pending(bed):
    bed.create(annotations={"ip-mode": "DNS"})
    assert bed.address() == []
    assert bed.said()[-1][2].endswith(f"annotation {PREFIX}ip-mode is 'DNS': one of VIP, Proxy is wanted")
    bed.change(metadata={"annotations": {}})
    assert bed.address() == [("198.51.100.1", "VIP")]


def test_a_controller_that_starts_anew_gives_the_same_addresses(bed):
    for name in ("b", "a"):
        bed.create(name)
    before = bed.address("a"), bed.address("b")
    again = ServiceController(bed.store, {"IPv4": "198.51.100.0/24"})
    Loop(bed.store, [again], bed.failed).drain()
    assert (bed.address("a"), bed.address("b")) == before == ([("198.51.100.2", "VIP")], [("198.51.100.1", "VIP")])
