"""Both IP families side by side: nodes, pods, names, Services of every policy, load balancers.

client on node-1 (zone a)        web-a on node-2 (zone b)        web-b on node-3 (zone a)
"""

from collections.abc import Iterator
from typing import Any

import pytest
from labs import errors

from labkit import lab
from labkit.lab import Lab

PODS = {"client": ("client", "node-1"), "web-a": ("web", "node-2"), "web-b": ("web", "node-3")}
SERVERS = {"web-a", "web-b"}
BOTH = ["IPv4", "IPv6"]
QUICK = pytest.mark.sandbox("namespaces")  # a second lab: what differs is the same in either kind of sandbox


def pod(name: str, app: str, node: str) -> dict[str, Any]:
    ports = [{"containerPort": 8080}, {"containerPort": 8081, "protocol": "UDP"}]
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "containers": [{"name": "c", "image": "agnhost", "ports": ports}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def service(name: str, app: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "udp", "port": 80, "targetPort": 8081, "protocol": "UDP"},
    ]
    spec = {"selector": {"app": app}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module", params=["ptp", pytest.param("bridge", marks=QUICK)])
def k(sandbox: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    with lab.start(name="dual", cni=request.param, ip_families=BOTH) as started:
        started.apply(
            [
                *(pod(name, app, node) for name, (app, node) in PODS.items()),
                service("four"),
                service("six", ipFamilies=["IPv6"]),
                service("both", ipFamilyPolicy="RequireDualStack"),
                service("headless", ipFamilyPolicy="PreferDualStack", clusterIP="None"),
                service("itself", "client", ipFamilies=["IPv6"]),
                service("balanced", type="LoadBalancer", ipFamilyPolicy="PreferDualStack"),
                service("local", type="LoadBalancer", ipFamilyPolicy="PreferDualStack", externalTrafficPolicy="Local"),
            ]
        )
        started.wait()
        yield started


def url(address: str, port: int = 80, what: str = "hostname") -> str:
    return f"http://[{address}]:{port}/{what}" if ":" in address else f"http://{address}:{port}/{what}"


def asked(place: Any, address: str, port: int = 80) -> tuple[set[str], set[str]]:
    """Who answers at an address, and which source addresses they see."""
    names, sources = (place.get(url(address, port, what), n=20) for what in ("hostname", "clientip"))
    assert errors(names) == errors(sources) == [], address
    return set(names["body"]), {body.rpartition(":")[0].strip("[]") for body in sources["body"]}


def test_nodes_pods_and_services_have_both(k: Lab) -> None:
    node = k.get("node/node-2")
    addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    assert addresses == ["172.18.2.12", "fd00:172:18:2::12"]
    assert node["spec"]["podCIDRs"] == ["10.244.2.0/24", "fd00:10:244:2::/64"]
    status = k.get("pod/web-a")["status"]
    four, six = (each["ip"] for each in status["podIPs"])
    assert (status["podIP"], six.startswith("fd00:10:244:2::")) == (four, True)
    assert [each["ip"] for each in status["hostIPs"]] == addresses
    slices = {(s["addressType"], s["endpoints"][0]["addresses"][0].count(":") > 0) for s in k.objects("EndpointSlice")}
    assert slices == {("IPv4", False), ("IPv6", True)}
    of_both = [s["addressType"] for s in k.objects("EndpointSlice") if "both" in s["metadata"]["name"]]
    assert sorted(of_both) == BOTH


def test_pods_reach_each_other_and_the_outside_by_ipv6(k: Lab) -> None:
    client = k.pod("client")
    for name in SERVERS:
        address = k.get(f"pod/{name}")["status"]["podIPs"][1]["ip"]
        assert client.run(f"ping -6 -c1 -W2 {address}").code == 0
    assert client.run("ping -6 -c1 -W2 2001:db8:203::10").code == 0
    assert k.host().run("ping -6 -c1 -W2 fd00:172:18:1::13").code == 0


def test_names_have_the_records_of_their_services(k: Lab) -> None:
    def found(name: str) -> list[int]:
        answered = k.pod("client").run(f"getent ahosts {name}", check=True).stdout.split("\n")
        return sorted({4 if "." in line.split()[0] else 6 for line in answered if line})

    assert [found(name) for name in ("four", "six", "both", "headless")] == [[4], [6], [4, 6], [4, 6]]


def test_cluster_addresses_and_the_source_that_a_pod_sees(k: Lab) -> None:
    mine = {each["ip"] for each in k.get("pod/client")["status"]["podIPs"]}
    for name in ("four", "six", "both"):
        for address in k.get(f"svc/{name}")["spec"]["clusterIPs"]:
            who, sources = asked(k.pod("client"), address)
            assert who == SERVERS and sources <= mine, (name, address, sources)
            who, sources = asked(k.node("node-1"), address)
            assert who == SERVERS and not sources & mine
    rows = k.pod("client").get("udp://six:80", n=20)
    assert errors(rows) == [] and set(rows["body"]) == SERVERS
    who, sources = asked(k.pod("client"), k.get("svc/itself")["spec"]["clusterIP"])
    assert who == {"client"} and not sources & mine  # it would answer itself directly, past its connection


def test_load_balancers_and_node_ports_keep_the_source_where_the_policy_says_so(k: Lab) -> None:
    outside = {"IPv4": "203.0.113.10", "IPv6": "2001:db8:203::10"}
    for name in ("balanced", "local"):
        raw = k.get(f"svc/{name}")
        port = raw["spec"]["ports"][0]["nodePort"]
        addresses = [ingress["ip"] for ingress in raw["status"]["loadBalancer"]["ingress"]]
        assert [":" in address for address in addresses] == [False, True]
        for at, number in [*((a, 80) for a in addresses), ("172.18.2.12", port), ("fd00:172:18:2::12", port)]:
            who, sources = asked(k.host(), at, number)
            if name == "balanced":
                assert who == SERVERS and not sources & set(outside.values()), at
            else:
                assert sources == {outside["IPv6" if ":" in at else "IPv4"]}, at
                assert who == (SERVERS if number == 80 else {"web-a"}), at


def test_a_service_gets_and_loses_its_second_address_in_place(k: Lab) -> None:
    k.apply([service("four", ipFamilyPolicy="PreferDualStack")])
    k.wait("svc/four")
    four, six = k.get("svc/four")["spec"]["clusterIPs"]
    assert asked(k.pod("client"), six)[0] == asked(k.pod("client"), four)[0] == SERVERS
    k.apply([service("four", ipFamilyPolicy="SingleStack")])
    k.wait("svc/four")
    assert k.get("svc/four")["spec"]["clusterIPs"] == [four]
    assert six not in k.node("node-1").run("ip6tables-save -t nat", check=True).stdout
    assert errors(k.pod("client").get(url(six), timeout=0.5)) != []
