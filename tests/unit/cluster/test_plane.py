"""The assembled control plane: what its parts get from how it is set up."""

from __future__ import annotations

import asyncio

import pytest

from labkit.cluster.plane import Plane
from labkit.cluster.work import Work
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
