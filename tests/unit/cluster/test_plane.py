"""The assembled control plane: what its parts get from how it is set up."""

from __future__ import annotations

import asyncio

import pytest

from labkit.cluster.plane import Plane
from labkit.cluster.work import Work
from labkit.control.admission import Options
from labkit.workloads.nodes.pace import Pace


@pytest.mark.parametrize(("factor", "seconds"), [(1, 300), (5, 60), (20, 15)])
def test_pods_bear_a_lost_node_as_long_as_the_pace_says(factor, seconds):
    async def made():
        plane = Plane(0, Work(lambda error: None), Pace(factor))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
               "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}  # fmt: skip
        plane.apply([pod])
        return plane.store.get("Pod", "default", "p")["spec"]["tolerations"]

    assert [each["tolerationSeconds"] for each in asyncio.run(made())] == [seconds] * 2


def test_what_the_control_plane_adds_to_a_new_object_is_nobodys():
    """As in real clusters: managed fields are made before admission (endpoints/handlers/create.go)."""
    container = {"name": "c", "image": "nginx:1"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [container]}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}

    async def made():
        admission = Plane(0, Work(lambda error: None), Pace(1)).admission
        return [admission.create(raw, Options(manager="me")) for raw in (pod, service)]

    one, other = asyncio.run(made())
    assert one["spec"]["volumes"] and one["spec"]["tolerations"] and other["spec"]["clusterIP"]
    owned = [raw["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"] for raw in (one, other)]
    assert set(owned[0]) == {
        "f:containers", "f:dnsPolicy", "f:enableServiceLinks", "f:restartPolicy", "f:schedulerName",
        "f:securityContext", "f:terminationGracePeriodSeconds",
    }  # fmt: skip
    assert "f:volumeMounts" not in owned[0]["f:containers"]['k:{"name":"c"}']
    assert "f:ports" in owned[1] and "f:clusterIP" not in owned[1]
