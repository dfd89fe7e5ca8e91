"""Services of every type and policy but load balancers: who answers to whom, and what becomes of a type that changes.

client on node-1 (zone a)        web-a on node-2 (zone b)        web-b on node-3 (zone a)
"""

from collections.abc import Iterator
from typing import Any

import pytest
from labs import errors

from labkit import lab
from labkit.errors import ManifestError
from labkit.lab import Lab

ON = {"client": "node-1", "web-a": "node-2", "web-b": "node-3", "late": "node-3"}
SERVERS = {"web-a", "web-b"}
SLICES = "discovery.k8s.io/v1"


def pod(name: str, node: str) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "c", "image": "agnhost", "ports": [{"containerPort": 8080}]}
    if name == "late":
        container["readinessProbe"] = {"tcpSocket": {"port": 9}}  # nobody listens there: never ready
    app = "client" if name == "client" else "web"
    spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    metadata = {"name": name, "annotations": annotations or {}}
    spec = {"selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {k: v for k, v in spec.items() if v}}


def by_hand(name: str, owner: str, *addresses: str, **more: Any) -> dict[str, Any]:
    """An EndpointSlice that somebody writes."""
    metadata = {"name": name, "labels": {"kubernetes.io/service-name": owner}}
    ports = [{"name": "http", "port": 8080}]
    ends = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
    plain = {"apiVersion": SLICES, "kind": "EndpointSlice", "addressType": "IPv4", "metadata": metadata}
    return {**plain, "endpoints": ends, "ports": ports, **more}


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[Lab]:
    objects = [
        *(pod(*each) for each in ON.items()),
        service("web"),
        service("named", selector=None, ports=None, type="ExternalName", externalName="web.default.svc.cluster.local"),
        service("ready", clusterIP="None"),
        service("all", clusterIP="None", publishNotReadyAddresses=True),
        service("bare", selector=None),
        service("old", selector=None),
        service("outside", externalIPs=["203.0.113.77"]),
        service("sticky", sessionAffinity="ClientIP"),
        service("here", internalTrafficPolicy="Local"),
        service("zone", trafficDistribution="PreferSameZone"),
        service("node", trafficDistribution="PreferSameNode"),
    ]
    with lab.start(name="types") as started:
        started.apply(objects)
        for name in ("client", "web-a", "web-b"):
            started.wait(f"pod/{name}")
        yield started


def who(k: Lab, url: str, source: str = "client", n: int = 24) -> set[str]:
    place = k.pod(source) if source in ON else k.node(source) if source.startswith("node") else k.host(source)
    rows = place.get(url, n=n)
    assert errors(rows) == [], url
    return set(rows["body"])


def addresses(k: Lab, name: str) -> set[str]:
    lines = k.pod("client").run(f"getent ahostsv4 {name}", check=True).stdout.splitlines()
    return {line.split()[0] for line in lines}


def ip(k: Lab, name: str) -> str:
    return str(k.get(f"pod/{name}")["status"]["podIP"])


def test_an_external_name_is_another_name_and_can_become_an_address(k: Lab) -> None:
    assert who(k, "http://named/hostname") == SERVERS
    assert addresses(k, "named") == {k.get("svc/web")["spec"]["clusterIP"]}
    k.apply([service("named")])
    k.wait("svc/named")
    own = k.get("svc/named")["spec"]["clusterIP"]
    assert who(k, f"http://{own}/hostname") == SERVERS
    assert k.get("svc/named")["spec"].get("externalName") is None
    external = service("named", selector=None, ports=None, type="ExternalName", externalName="web.default.svc")
    k.apply([external])
    k.wait("svc/named")
    assert not k.get("svc/named")["spec"].keys() & {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}
    assert own not in k.node("node-1").run("iptables-save -t nat", check=True).stdout


def test_headless_services_name_ready_pods_or_all(k: Lab) -> None:
    servers = {ip(k, name) for name in SERVERS}
    assert addresses(k, "ready") == servers
    assert addresses(k, "all") == servers | {ip(k, "late")}
    assert who(k, "http://web/hostname") == SERVERS


def test_endpoints_written_by_hand(k: Lab) -> None:
    a, b = ip(k, "web-a"), ip(k, "web-b")
    k.apply([by_hand("one", "bare", a, b), by_hand("two", "bare", b)])  # one address twice: still one endpoint of two
    k.wait("svc/bare")
    assert who(k, "http://bare/hostname") == SERVERS
    address = k.get("svc/bare")["spec"]["clusterIP"]
    rules = k.rules("node-1", "bare")["RULE"].tolist()
    assert sum(f"--to-destination {b}:8080" in rule for rule in rules) == 1
    subsets = [{"addresses": [{"ip": a}], "ports": [{"name": "http", "port": 8080}]}]
    k.apply([{"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "old"}, "subsets": subsets}])
    k.wait("svc/old")
    (mirrored,) = [s for s in k.objects("EndpointSlice") if s["metadata"]["name"].startswith("old-")]
    manager = mirrored["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
    assert manager == "endpointslicemirroring-controller.k8s.io"
    assert who(k, "http://old/hostname") == {"web-a"}
    k.delete("endpointslice/one")
    k.delete("endpointslice/two")
    assert errors(k.pod("client").get(f"http://{address}/")) == ["connection refused"]


@pytest.mark.parametrize(
    ("slice_", "why"),
    [
        (by_hand("bad", "bare", "127.0.0.1"), "may not be in the loopback range"),
        (by_hand("bad", "bare", "169.254.169.254"), "may not be in the link-local range"),
        (by_hand("bad", "bare", "0.0.0.0"), "may not be unspecified"),
        (by_hand("bad", "bare", "10.0.0.256"), "must be a valid IP address"),
        (by_hand("bad", "bare", "fd00::1"), "must be an IPv4 address"),
        (by_hand("bad", "bare", "10.0.0.1", addressType="IPv6"), "must be an IPv6 address"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_slices_that_lie_are_refused(k: Lab, slice_: dict[str, Any], why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        k.apply([slice_])


def test_external_addresses(k: Lab) -> None:
    assert who(k, "http://203.0.113.77/hostname") == SERVERS
    assert who(k, "http://203.0.113.77/hostname", "node-2") == SERVERS
    k.host("internet").run("ip route add 203.0.113.77 via 203.0.113.1", check=True)
    k.host("router").run("ip route add 203.0.113.77 via 172.18.1.13", check=True)
    assert who(k, "http://203.0.113.77/hostname", "internet") == SERVERS


def test_who_is_asked_by_policy_place_and_affinity(k: Lab) -> None:
    assert len(who(k, "http://sticky/hostname")) == 1
    assert who(k, "http://zone/hostname") == {"web-b"}  # as the client, in zone a
    assert who(k, "http://zone/hostname", "web-a") == {"web-a"}
    assert who(k, "http://node/hostname", "web-b") == {"web-b"}
    assert who(k, "http://node/hostname") == {"web-b"}  # none on its own node: its zone
    assert who(k, "http://here/hostname", "web-a") == {"web-a"}
    assert errors(k.pod("client").get("http://here/", timeout=0.5)) == ["timed out after 0.5 s"]
    assert who(k, "http://web/hostname", "web-a") == SERVERS  # itself too, by hairpin


def test_hints_by_the_shares_of_zones_are_told_of(k: Lab) -> None:
    auto = {"service.kubernetes.io/topology-mode": "Auto"}
    k.apply([service("auto", auto, trafficDistribution="PreferSameNode")])
    k.wait("svc/auto")
    (found,) = [s for s in k.objects("EndpointSlice") if s["metadata"]["name"].startswith("auto-")]
    # Zone a has two thirds of the CPU, and one pod of two.
    assert all("hints" not in end for end in found["endpoints"])
    said = k.events()
    (message,) = said[said["REASON"] == "TopologyAwareHintsDisabled"]["MESSAGE"]
    assert message == (
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold "
        "(2 endpoints, 2 zones), addressType: IPv4"
    )


SERVE = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as server:
    server.bind(("", 9000))
    server.listen()
    while True:
        client, (address, _) = server.accept()
        with client:
            client.sendall(f"{socket.gethostname()} {address}".encode())
"""
ASK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as client:
    client.connect((sys.argv[1], int(sys.argv[2])))
    print(client.recv(99).decode())
"""


@pytest.mark.sandbox("uml")  # whose kernel has SCTP, wherever it runs
def test_sctp(k: Lab) -> None:
    ports = [{"port": 7, "targetPort": 9000, "protocol": "SCTP"}]
    k.apply([service("sctp", type="NodePort", ports=ports, selector={"app": "client"})])
    k.pod("client").run(f"python3 -c '{SERVE}' >/dev/null 2>&1 &", check=True)
    k.wait("svc/sctp")
    spec = k.get("svc/sctp")["spec"]
    ask = f"python3 -c '{ASK}'"
    k.pod("client").run(f"until {ask} 127.0.0.1 9000; do :; done", timeout=20, check=True)
    told = k.pod("web-a").run(f"{ask} {spec['clusterIP']} 7", check=True).stdout.split()
    assert told == ["client", ip(k, "web-a")]
    told = k.host().run(f"{ask} 172.18.2.12 {spec['ports'][0]['nodePort']}", check=True).stdout.split()
    assert told == ["client", "172.18.2.12"]
