"""What a node's agent registers, and how it falls silent and comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from labkit.cluster.nodes import ALLOCATABLE, Agents, healthy, registered
from labkit.control.admission import Admission
from labkit.control.namespaces import create_initial
from labkit.control.store import Store
from labkit.errors import LabError, NotFound
from labkit.net.topology import plan
from labkit.workloads.nodes.pace import Pace

NOW = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)


class Bed:
    def __init__(self):
        self.time = NOW
        self.cables = []
        self.back = []
        self.store = Store(now=lambda: self.time)
        create_initial(Admission(self.store))
        site = plan(2, ["a"])
        for machine in site.machines:
            self.store.create(registered(machine, 0, NOW))
        names = [machine.name for machine in site.machines]
        self.agents = Agents(self.store, names, Pace(), lambda name, off: self.cables.append((name, off)))
        self.agents.back.append(self.back.append)

    def renewed(self, name):
        return self.store.get("Lease", "kube-node-lease", name)["spec"]["renewTime"]

    def ready(self, name):
        found = self.store.get("Node", "", name)["status"]["conditions"]
        return next(c["status"] for c in found if c["type"] == "Ready")


@pytest.fixture
def bed():
    return Bed()


def test_a_node_passes_admission():
    store = Store()
    create_initial(Admission(store))
    made = Admission(store).create(registered(plan(1, ["a"]).machines[0], 0, NOW))
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert made["status"]["allocatable"] == ALLOCATABLE
    assert {c["type"]: c["status"] for c in made["status"]["conditions"]} == {
        "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True",
    }  # fmt: skip


def test_the_same_seed_gives_the_same_ids():
    machine = plan(1, ["a"]).machines[0]
    one, two, other = (registered(machine, seed, NOW)["status"]["nodeInfo"] for seed in (1, 1, 2))
    assert one == two
    assert one["machineID"] != other["machineID"]


def test_leases(bed):
    bed.agents.renew()
    lease = bed.store.get("Lease", "kube-node-lease", "node-1")
    assert lease["spec"] == {
        "holderIdentity": "node-1", "leaseDurationSeconds": 8, "renewTime": "2025-01-31T12:00:00.000000Z",
    }  # fmt: skip
    assert lease["metadata"]["ownerReferences"][0]["name"] == "node-1"
    bed.time += timedelta(seconds=2)
    bed.agents.renew()
    assert bed.renewed("node-1") == "2025-01-31T12:00:02.000000Z"


def test_a_failed_node_is_silent_until_it_recovers(bed):
    bed.agents.renew()
    bed.agents.fail("node-2")
    assert bed.cables == [("node-2", True)]
    bed.time += timedelta(seconds=60)
    bed.agents.renew()
    assert (bed.renewed("node-1"), bed.renewed("node-2")) == (
        "2025-01-31T12:01:00.000000Z", "2025-01-31T12:00:00.000000Z",
    )  # fmt: skip
    lost = [{**c, "status": "Unknown"} for c in healthy(NOW)]
    bed.store.update("Node", "", "node-2", lambda n: n["status"].update(conditions=lost))
    bed.agents.recover("node-2")
    assert bed.cables[-1] == ("node-2", False)
    assert (bed.renewed("node-2"), bed.ready("node-2")) == ("2025-01-31T12:01:00.000000Z", "True")
    assert bed.back == ["node-2"]
    assert [e["message"] for e in bed.store.list("Event")] == ["Node node-2 status is now: NodeReady"]


def test_bad_input(bed):
    with pytest.raises(NotFound, match="the nodes are node-1, node-2"):
        bed.agents.fail("node-3")
    with pytest.raises(LabError, match="has not failed"):
        bed.agents.recover("node-1")
    bed.agents.fail("node-1")
    with pytest.raises(LabError, match="has failed already"):
        bed.agents.fail("node-1")


def test_a_node_that_was_deleted_has_no_lease(bed):
    bed.store.delete("Node", "", "node-2")
    bed.agents.renew()
    assert bed.store.find("Lease", "kube-node-lease", "node-2") is None
    bed.agents.fail("node-2")
    bed.agents.recover("node-2")
