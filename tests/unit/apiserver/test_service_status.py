"""The status of a Service as other load balancers' controllers write it."""

from __future__ import annotations

from typing import Any

SERVICES = "/api/v1/namespaces/default/services"
SPEC = {"type": "LoadBalancer", "loadBalancerClass": "example.com/other", "ports": [{"port": 80}]}


def test_a_status_is_checked_and_completed(server: Any) -> None:
    made = server.ask("POST", SERVICES, {"metadata": {"name": "web"}, "spec": SPEC})
    assert made.status == 201

    def put(*ingress: dict[str, str]) -> Any:
        body = {**made.json, "status": {"loadBalancer": {"ingress": list(ingress)}}}
        body["metadata"] = {key: value for key, value in made.json["metadata"].items() if key != "resourceVersion"}
        return server.ask("PUT", f"{SERVICES}/web/status", body)

    refused = put({"ip": '192.0.2.1" -j ACCEPT'})
    assert refused.status == 422
    assert refused.json["details"]["causes"][0]["field"] == "status.loadBalancer.ingress[0].ip"
    written = put({"ip": "192.0.2.1"})
    assert written.json["status"]["loadBalancer"]["ingress"] == [{"ip": "192.0.2.1", "ipMode": "VIP"}]
    assert put({"hostname": "lb.example.com"}).status == 200
