"""Whole labs whose nodes run kube-proxy's userspace and kernelspace modes: everything answers, from everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from bookinfo import differences
from labs import SHOP, alive, descendants, errors, places, wait_until

from labkit import lab
from labkit.errors import NotFound
from labkit.lab import Lab

NODE_PORT = 30080


def outward(app: str, namespace: str, target: int, node_port: int) -> dict[str, Any]:
    """A Service for the app's pods with a port of the nodes."""
    ports = [{"port": 80, "targetPort": target, "nodePort": node_port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{app}-outward", "namespace": namespace},
        "spec": {"type": "NodePort", "selector": {"app": app}, "ports": ports},
    }


# Its rules are of iptables: test_proxy_kernelspace.py has them in the other sandbox too.
ONLY_RULES = pytest.param("kernelspace", marks=pytest.mark.sandbox("namespaces"))
ROUND = 30  # requests: each of the three pods gets a third of them in turn


@pytest.fixture(scope="module", params=["userspace", ONLY_RULES])
def running(request: pytest.FixtureRequest) -> Iterator[tuple[str, Lab]]:
    config = {"winkernel": {"enableDSR": True}} if request.param == "kernelspace" else None
    with lab.start(name=request.param, proxy_mode=request.param, proxy_config=config) as k:
        k.apply(SHOP)
        k.apply([outward("web", "shop", 8080, NODE_PORT)])
        k.wait()
        yield request.param, k


def answered(rows: Any) -> set[str]:
    """The pods that answered, which is what they say themselves."""
    assert errors(rows) == [] and set(rows["status"]) == {200}
    assert (rows["body"] == rows["pod"]).all(), rows
    return set(rows["pod"])


def test_every_way_to_a_service(running: tuple[str, Lab]) -> None:
    mode, k = running
    web = {p["hostname"] for p in places(k) if p["name"].startswith("shop/web-")}
    assert len(web) == 3
    client, node, outside = k.pod("shop/client"), k.node("node-2"), k.host("internet")
    address = k.get("svc/web", namespace="shop")["spec"]["clusterIP"]
    node_ip = next(p["addresses"][0] for p in places(k, "node") if p["name"] == "node-2")

    by_name = client.get("http://web/hostname", n=ROUND)
    assert answered(by_name) == web, "the name came by UDP through the same mode"
    if mode == "userspace":
        assert set(by_name["pod"].value_counts()) == {ROUND // 3}, "in turn, not by chance"
    assert answered(node.get(f"http://{address}/hostname", n=ROUND)) == web
    for where in (client, outside):
        assert errors(where.get(f"http://{node_ip}:{NODE_PORT}/hostname", n=ROUND)) == []
    seen = client.run(f"curl -s http://{address}/clientip", check=True).stdout
    if mode == "userspace":
        assert seen.startswith(("172.18.", "10.244.1.1:")), "the pod sees the node, not its client"
    else:
        own = next(p["addresses"][0] for p in places(k) if p["name"] == "shop/client")
        assert seen.startswith(f"{own}:"), "direct server return: the pod sees its client"

    text = " ".join(k.rules("node-1", "web-outward", namespace="shop")["RULE"])
    assert f"--dport {NODE_PORT}" in text and ("REDIRECT" if mode == "userspace" else "statistic") in text

    plan = node.proxy.show()
    if mode == "userspace":
        assert f"--dport {NODE_PORT} -j REDIRECT" in plan
        assert re.search(r"^shop/web/tcp +\d+", k.node("node-1").proxy.show("counters"), re.M)
    else:
        assert plan.startswith("ID ") and f" {address} " in plan
        assert f"LB_HOST_{plan.split(address)[0].splitlines()[-1][:5].upper()}" in node.proxy.show("vfpctrl /list-rule")
    with pytest.raises(NotFound, match="no command here"):
        node.proxy.show("netstat")

    refused = client.get("http://nobody/", timeout=2).iloc[0]
    assert refused["error"], "a Service without endpoints"
    datagrams = client.get("udp://api:5300", n=4)
    assert errors(datagrams) == [] and set(datagrams["pod"]) == set(datagrams["body"])


def test_bookinfo(running: tuple[str, Lab]) -> None:
    mode, k = running
    assert differences(k, mode) == []


@pytest.mark.sandbox("namespaces")  # in the other one everything ends with its kernel
def test_a_process_on_each_node_that_ends_with_the_lab() -> None:
    with lab.start(name="ends", nodes=2, proxy_mode="userspace") as k:
        for name in ("node-1", "node-2"):
            assert '"kube-proxy"' in k.node(name).run("ss -lntp", check=True).stdout
        processes = descendants(k.facts["pid"])
        assert alive(processes)
    wait_until(lambda: not alive(processes), 5, "the end of all processes")
