"""What kube-proxy says of a node's health, in its own words."""

from __future__ import annotations

import json

import pytest

from labkit.api.objects import EndpointSlice, Service, view
from labkit.proxy.healthcheck import local_endpoints, of_service, ports


def service(**spec):
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001, **spec}
    return view({"kind": "Service", "metadata": {"namespace": "shop", "name": "web"}, "spec": spec}, Service)


def test_which_services_are_asked_about():
    assert ports([service()]) == {"shop/web": 30001}
    assert ports([service(externalTrafficPolicy="Cluster")]) == ports([service(type="NodePort")]) == {}
    assert ports([service(healthCheckNodePort=0)]) == {}


def test_endpoints_count_once_and_only_where_they_are():
    ends = [
        {"addresses": ["10.0.0.1"], "nodeName": "node-1", "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "nodeName": "node-1", "conditions": {"ready": False}},
        {"addresses": ["10.0.0.3"], "nodeName": "node-2"},
        {"addresses": ["10.0.0.4"], "nodeName": "node-1"},
    ]
    slices = [view({"kind": "EndpointSlice", "endpoints": part}, EndpointSlice) for part in (ends, ends[:1])]
    assert [local_endpoints(slices, name) for name in ("node-1", "node-2", "node-3")] == [2, 1, 0]


@pytest.mark.parametrize(("endpoints", "well", "status"), [(2, True, 200), (0, True, 503), (2, False, 503)])
def test_the_answer_for_a_service(endpoints, well, status):
    answer = of_service("shop/web", endpoints, well)
    assert answer.status == status
    assert json.loads(answer.body) == {
        "service": {"namespace": "shop", "name": "web"},
        "localEndpoints": endpoints,
        "serviceProxyHealthy": well,
    }
    assert answer.body.startswith('{\n\t"service": {\n\t\t"namespace": "shop",')
    assert answer.headers["X-Load-Balancing-Endpoint-Weight"] == str(endpoints)
