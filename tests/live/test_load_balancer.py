"""Load balancers of the lab's cloud: who is reached, from where, with which source address, and who is not.

internet ── router (198.51.100.0/24) ──┬── node-1: client       node-2: web-a       node-3: web-b
              └── cloud (proxies)      └── …
"""

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from labs import errors, wait_until

from labkit import lab
from labkit.errors import WaitTimeout
from labkit.lab import Lab

ANNOTATION = "service.beta.kubernetes.io/lab-load-balancer-"
CLOUD, INTERNET = "192.0.2.10", "203.0.113.10"


def pod(name: str, app: str, node: str) -> dict[str, Any]:
    ports = [{"containerPort": 8080}, {"containerPort": 8081, "protocol": "UDP"}]
    containers = [{"name": "c", "image": "agnhost", "ports": ports}]
    spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "udp", "port": 80, "targetPort": 8081, "protocol": "UDP"},
    ]
    spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports, **spec}
    given = {ANNOTATION + key: value for key, value in (annotations or {}).items()}
    metadata = {"name": name, "annotations": given}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[Lab]:
    with lab.start(name="balanced") as started:
        started.apply(
            [
                pod("client", "client", "node-1"), pod("web-a", "web", "node-2"), pod("web-b", "web", "node-3"),
                service("vip", {"healthcheck-unhealthy-threshold": "1"}),
                service("vip-local", externalTrafficPolicy="Local"),
                service("proxied", {"ip-mode": "Proxy"}),
                service("proxied-local", {"ip-mode": "Proxy"}, externalTrafficPolicy="Local"),
            ]
        )  # fmt: skip
        started.wait()
        yield started


def address(k: Lab, name: str) -> str:
    (ingress,) = k.get(f"svc/{name}")["status"]["loadBalancer"]["ingress"]
    return str(ingress["ip"])


def answers(k: Lab, source: str, to: str) -> tuple[set[str], set[str]]:
    """Who answers at `address[:port]`, and which source addresses they see."""
    place = {"internet": k.host, "node-1": k.node, "client": k.pod}[source](source)
    names, sources = (place.get(f"http://{to}/{what}", n=24) for what in ("hostname", "clientip"))
    assert errors(names) == errors(sources) == []
    assert (names["body"] == names["pod"]).all(), names
    return set(names["body"]), {body.rpartition(":")[0] for body in sources["body"]}


def of_nodes(addresses: set[str]) -> bool:
    """Whether these are nodes' own addresses: on their wire, or as their pods' gateways."""
    pods = ip_network("10.244.0.0/16")
    return all(
        ip_address(each) in ip_network("172.18.0.0/16")
        or (ip_address(each) in pods and each.endswith(".1") and each.split(".")[2] in "123")
        for each in addresses
    )


def test_a_status_says_how_packets_arrive(k: Lab) -> None:
    modes = {name: k.get(f"svc/{name}")["status"]["loadBalancer"]["ingress"] for name in ("vip", "proxied")}
    assert modes["vip"] == [{"ip": address(k, "vip"), "ipMode": "VIP"}]
    assert modes["proxied"] == [{"ip": address(k, "proxied"), "ipMode": "Proxy"}]
    said = k.events()
    of_vip = said[said["OBJECT"] == "service/vip"]["REASON"].tolist()
    assert of_vip == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]


def test_the_source_address_that_a_pod_sees(k: Lab) -> None:
    """externalTrafficPolicy, ipMode and the client's place decide; "nodes": one of the nodes' own addresses."""
    (me,) = next(p["addresses"] for p in k.topology()["places"] if p["name"] == "default/client")
    expected = {
        ("vip", "internet"): "nodes", ("vip", "node-1"): "nodes", ("vip", "client"): "nodes",
        ("vip-local", "internet"): INTERNET, ("vip-local", "node-1"): "nodes", ("vip-local", "client"): me,
        ("proxied", "internet"): "nodes", ("proxied", "node-1"): "nodes", ("proxied", "client"): "nodes",
        ("proxied-local", "internet"): CLOUD, ("proxied-local", "node-1"): CLOUD, ("proxied-local", "client"): CLOUD,
    }  # fmt: skip
    for (name, source), seen in expected.items():
        who, addresses = answers(k, source, address(k, name))
        assert who == {"web-a", "web-b"}, (name, source)
        assert of_nodes(addresses) if seen == "nodes" else addresses == {seen}, (name, source, addresses)


def test_datagrams(k: Lab) -> None:
    for name in ("vip", "vip-local", "proxied", "proxied-local"):
        rows = k.host().get(f"udp://{address(k, name)}:80", n=24)
        assert errors(rows) == []
        assert set(rows["body"]) == {"web-a", "web-b"}, name
        assert (rows["body"] == rows["pod"]).all(), name


def test_a_node_port_and_its_sources(k: Lab) -> None:
    for name, seen in (("vip", "nodes"), ("vip-local", INTERNET)):
        port = k.get(f"svc/{name}")["spec"]["ports"][0]["nodePort"]
        who, addresses = answers(k, "internet", f"172.18.2.12:{port}")
        assert who == ({"web-a", "web-b"} if name == "vip" else {"web-a"})
        assert of_nodes(addresses) if seen == "nodes" else addresses == {seen}
    port = k.get("svc/vip")["spec"]["ports"][0]["nodePort"]
    who, _ = answers(k, "node-1", f"127.0.0.1:{port}")
    assert who == {"web-a", "web-b"}


def test_nodes_tell_of_their_endpoints(k: Lab) -> None:
    port = k.get("svc/vip-local")["spec"]["healthCheckNodePort"]
    found = {}
    for node in ("172.18.1.11", "172.18.2.12", "172.18.1.13"):
        row = k.host().get(f"http://{node}:{port}/").iloc[0]
        found[node] = (row["status"], json.loads(row["body"])["localEndpoints"])
    assert found == {"172.18.1.11": (503, 0), "172.18.2.12": (200, 1), "172.18.1.13": (200, 1)}
    well = k.host().get("http://172.18.1.11:10256/healthz").iloc[0]
    assert (well["status"], json.loads(well["body"])["nodeEligible"]) == (200, True)
    ways = k.host("router").run(f"ip route show {address(k, 'vip-local')}", check=True).stdout
    assert "172.18.2.12" in ways and "172.18.1.13" in ways and "172.18.1.11" not in ways


def test_closed_ports_and_source_ranges(k: Lab) -> None:
    k.apply([service("ranged", loadBalancerSourceRanges=["203.0.113.0/25"])])
    k.wait("svc/ranged")
    own = address(k, "ranged")
    assert answers(k, "internet", own)[0] == {"web-a", "web-b"}
    assert errors(k.host().get(f"http://{own}:81/")) == ["connection refused"]
    k.apply([service("ranged", loadBalancerSourceRanges=["192.0.2.0/24", "198.51.100.0/24"])])
    k.wait("svc/ranged")
    assert errors(k.host().get(f"http://{own}/", timeout=0.5)) == ["timed out after 0.5 s"]
    assert errors(k.pod("client").get(f"http://{own}/", timeout=0.5)) == [
        "timed out after 0.5 s"
    ]  # kube-proxy minds them too
    k.delete("svc/ranged")


def test_without_node_ports(k: Lab) -> None:
    k.apply([service("bare", allocateLoadBalancerNodePorts=False)])
    k.wait("svc/bare")
    assert all("nodePort" not in port for port in k.get("svc/bare")["spec"]["ports"])
    assert answers(k, "internet", address(k, "bare"))[0] == {"web-a", "web-b"}
    k.delete("svc/bare")


def test_another_class_is_left_alone(k: Lab) -> None:
    k.apply([service("classy", loadBalancerClass="example.com/other")])
    k.wait("svc/classy")
    assert k.get("svc/classy")["status"] == {"loadBalancer": {}}
    assert "finalizers" not in k.get("svc/classy")["metadata"]
    k.delete("svc/classy")


def test_a_service_that_cannot_have_one_says_why(k: Lab) -> None:
    k.apply([service("odd", loadBalancerIP="192.0.2.1")])
    with pytest.raises(WaitTimeout, match=r"the address 192.0.2.1 is not in 198.51.100.0/24, which is what this cloud"):
        k.wait("svc/odd", timeout=0.2)
    k.apply([service("odd", loadBalancerIP="198.51.100.99")])
    k.wait("svc/odd")
    assert answers(k, "internet", "198.51.100.99")[0] == {"web-a", "web-b"}
    k.delete("svc/odd")


def test_types_change_in_place_and_a_deleted_balancer_gives_its_address_back(k: Lab) -> None:
    k.apply([service("moving", {"ip-mode": "Proxy"})])
    k.wait("svc/moving")
    own, cluster = address(k, "moving"), k.get("svc/moving")["spec"]["clusterIP"]
    assert answers(k, "internet", own)[0] == {"web-a", "web-b"}
    k.apply([service("moving")])
    k.wait("svc/moving")
    assert address(k, "moving") == own
    assert answers(k, "internet", own)[0] == {"web-a", "web-b"}
    k.apply([service("moving", type="ClusterIP")])
    k.wait("svc/moving")
    moved = k.get("svc/moving")
    assert (moved["spec"]["clusterIP"], moved["status"]) == (cluster, {"loadBalancer": {}})
    assert errors(k.host().get(f"http://{own}/")) == ["network is unreachable"]
    assert own not in k.host("cloud").run("ip address", check=True).stdout
    k.delete("svc/moving")
    k.apply([service("next")])
    k.wait("svc/next")
    assert address(k, "next") == own
    k.delete("svc/next")


def test_packets_follow_the_healthy_nodes(k: Lab) -> None:
    """A node that fails is left out by its checks; who comes back gets its share again."""
    own, local = address(k, "vip"), address(k, "vip-local")

    def ways(to: str) -> int:
        return k.host("router").run(f"ip route show {to}", check=True).stdout.count("via")

    assert (ways(own), ways(local)) == (3, 2)
    k.node("node-1").fail()
    wait_until(lambda: ways(own) == 2, 10, "the load balancer leaves out node-1")
    assert answers(k, "internet", own)[0] == {"web-a", "web-b"}
    k.node("node-1").recover()
    wait_until(lambda: ways(own) == 3, 10, "the load balancer takes in node-1")
    k.delete("pod/web-b")
    assert ways(local) == 1
    assert answers(k, "internet", local) == ({"web-a"}, {INTERNET})
    k.delete("pod/web-a")
    assert ways(local) == 0
    assert errors(k.host().get(f"http://{local}/")) == ["no route to host"]
    k.apply([pod("web-a", "web", "node-2"), pod("web-b", "web", "node-3")])
    k.wait()
    assert answers(k, "internet", local) == ({"web-a", "web-b"}, {INTERNET})
