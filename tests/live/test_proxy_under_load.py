"""Endpoints are replaced and Services come and go under 500 requests a second, and no request fails."""

from __future__ import annotations

from typing import Any

import pytest
from labs import errors
from steady import Load
from web import WEB

from labkit import lab

RATE = 500
# In User-Mode Linux, whose one processor is busy all the while, one request in some hundreds does fail now and then.
pytestmark = pytest.mark.sandbox("namespaces")


def other(number: int) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"other-{number}"}, "spec": spec}


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_rolling_ten_endpoints_while_services_come_and_go(mode: str) -> None:
    deployment, *others = WEB
    ten = {**deployment, "spec": {**deployment["spec"], "replicas": 10}}
    with lab.start(name="load", proxy_mode=mode) as k:
        k.apply([ten, *others])
        k.wait()
        old = {pod["metadata"]["name"] for pod in k.objects("pod")}
        with Load(k, "client", "http://web/hostname", RATE) as load:
            template = {**ten["spec"]["template"], "metadata": {"labels": {"app": "web", "generation": "2"}}}
            k.apply({**ten, "spec": {**ten["spec"], "template": template}})
            for number in range(10):
                k.apply(other(number))
                if number > 4:
                    k.delete(f"svc/other-{number - 5}")
            k.wait("deployment/web", timeout=60)
        rows = load.rows
        assert errors(rows) == [], rows[rows["error"] != ""].to_dict("records")
        assert set(rows["status"]) == {200}
        answered = set(rows["pod"])
        new = {pod["metadata"]["name"] for pod in k.objects("pod")} - old
        assert len(new) == 10
        assert answered & old and answered & new
        assert [n for n in ("node-1", "node-2", "node-3") if k.node(n).proxy.state["families"]["IPv4"]["refused"]] == []
