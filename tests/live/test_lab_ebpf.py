"""A lab in ebpf mode: Services answer as in any mode, and nothing of kube-proxy is in netfilter.

internet ── router ──┬── node-1: client, web-a       node-2: web-b       node-3: no endpoint
"""

from collections.abc import Iterator
from typing import Any

import pytest
from bookinfo import differences
from labs import errors

from labkit import lab
from labkit.lab import Lab
from labkit.proxy.ebpf.mode import UNTERMINATED

pytestmark = pytest.mark.sandbox("uml")  # the kernel whose root may load eBPF programs, wherever the tests run

INTERNET, INTERNET_V6 = "203.0.113.10", "2001:db8:203::10"
NODES = {"node-1": "172.18.1.11", "node-2": "172.18.2.12", "node-3": "172.18.1.13"}
NODE_V6 = {"node-1": "fd00:172:18:1::11", "node-2": "fd00:172:18:2::12", "node-3": "fd00:172:18:1::13"}
PEERS = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
asked = [(socket.AF_INET, address), (socket.AF_INET6, "::ffff:" + address), (socket.AF_INET6, sys.argv[3])]
for family, shown in asked:
    with socket.socket(family) as tcp:
        tcp.connect((shown, port))
        print(*tcp.getpeername()[:2])
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        udp.sendto(b"hostname", (shown, port + 1))
        print(*udp.recvfrom(100)[1][:2])
"""

HOLD = """
import os, socket, sys, time
held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
for client in held:
    client.connect((sys.argv[1], 81))
if os.fork() == 0:
    for number in range(3):
        os.close(number)
    time.sleep(60)
"""


def pod(name: str, app: str, node: str) -> dict[str, Any]:
    ports = [{"containerPort": 8080}, {"containerPort": 8081, "protocol": "UDP"}]
    containers = [{"name": "c", "image": "agnhost", "ports": ports}]
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": node},
        "terminationGracePeriodSeconds": 0,
        "containers": containers,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def service(name: str, http: int, **spec: Any) -> dict[str, Any]:
    ports = [
        {"name": "http", "port": 80, "targetPort": 8080, "nodePort": http},
        {"name": "udp", "port": 81, "targetPort": 8081, "protocol": "UDP", "nodePort": http + 1},
    ]
    both = {"ipFamilyPolicy": "PreferDualStack"}
    spec = {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports, **both, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[Lab]:
    with lab.start(name="ebpf", proxy_mode="ebpf", ip_families=["IPv4", "IPv6"]) as started:
        started.apply(
            [
                pod("client", "client", "node-1"), pod("web-a", "web", "node-1"), pod("web-b", "web", "node-2"),
                service("web", 30080), service("local", 30082, externalTrafficPolicy="Local"),
                service("nobody", 30084, selector={"app": "nobody"}),
            ]
        )  # fmt: skip
        started.wait()
        yield started


def address(k: Lab, name: str) -> str:
    return addresses(k, name)[0]


def addresses(k: Lab, name: str) -> list[str]:
    """Of the load balancer: IPv4, IPv6."""
    return [str(ingress["ip"]) for ingress in k.get(f"svc/{name}")["status"]["loadBalancer"]["ingress"]]


def sources(place: Any, url: str) -> dict[str, set[str]]:
    """Which pods answer at `url`, and the source addresses that each sees. With 30 requests, chance leaves none out."""
    hits = place.get(f"{url}/clientip", n=30)
    assert errors(hits) == []
    return {name: {body.rpartition(":")[0].strip("[]") for body in rows["body"]} for name, rows in hits.groupby("pod")}


def test_every_kind_of_address_leads_to_the_pods_from_everywhere(k: Lab) -> None:
    outside = [f"http://{address(k, 'web')}", f"http://{NODES['node-1']}:30080"]
    outside += [f"http://[{addresses(k, 'web')[1]}]", f"http://[{NODE_V6['node-1']}]:30080"]
    four, six = k.get("svc/web")["spec"]["clusterIPs"]
    asked = {
        k.pod("client"): [*outside, f"http://{four}", f"http://[{six}]", "http://web"],
        k.node("node-1"): [*outside, f"http://{four}", "http://127.0.0.1:30080", "http://[::1]:30080"],
        k.host("internet"): outside,
    }
    for place, urls in asked.items():
        for url in urls:
            hits = place.get(f"{url}/hostname", n=16)
            assert (errors(hits), set(hits["body"])) == ([], {"web-a", "web-b"}), (place, url)
            assert (hits["body"] == hits["pod"]).all(), (place, url)
        datagrams = place.get(f"udp://{NODES['node-1']}:30081", n=16)
        assert set(datagrams["body"]) == {"web-a", "web-b"}, place


def test_sources_are_as_the_policies_promise(k: Lab) -> None:
    internet = k.host("internet")
    near = sources(internet, f"http://{NODES['node-1']}:30080")
    assert near == {"web-a": {INTERNET}, "web-b": {NODES["node-1"]}}  # SNAT only where another node has the endpoint
    far = sources(internet, f"http://{NODES['node-3']}:30080")
    assert far == {"web-a": {NODES["node-3"]}, "web-b": {NODES["node-3"]}}
    assert sources(internet, f"http://{NODES['node-2']}:30082") == {"web-b": {INTERNET}}
    assert sources(internet, f"http://{address(k, 'local')}") == {"web-a": {INTERNET}, "web-b": {INTERNET}}
    client = k.get("pod/client")["status"]["podIP"]
    assert sources(k.pod("client"), f"http://{address(k, 'local')}") == {"web-a": {client}, "web-b": {client}}
    (dropped,) = internet.get(f"http://{NODES['node-3']}:30082/", n=1)["error"]
    assert dropped.startswith("timed out")


def test_sources_are_the_same_in_ipv6(k: Lab) -> None:
    internet = k.host("internet")
    near = sources(internet, f"http://[{NODE_V6['node-1']}]:30080")
    assert near == {"web-a": {INTERNET_V6}, "web-b": {NODE_V6["node-1"]}}
    assert sources(internet, f"http://[{NODE_V6['node-2']}]:30082") == {"web-b": {INTERNET_V6}}
    client = k.get("pod/client")["status"]["podIPs"][1]["ip"]
    assert sources(k.pod("client"), f"http://[{addresses(k, 'local')[1]}]") == {"web-a": {client}, "web-b": {client}}


def test_without_an_endpoint_the_socket_says_so_at_once_and_the_node_outside(k: Lab) -> None:
    assert errors(k.pod("client").get("http://nobody/", n=3)) == ["no route to host"]
    for at in (NODES["node-1"], f"[{NODE_V6['node-1']}]"):
        assert errors(k.host("internet").get(f"http://{at}:30084/", n=3)) == ["connection refused"]


def test_the_packet_leaves_the_pod_with_the_endpoints_address(k: Lab) -> None:
    path = k.trace("client", "http://web/hostname")
    pods = {k.get(f"pod/web-{one}")["status"]["podIP"] for one in "ab"}
    assert path.outcome == "200"
    assert path.request[0].place == "default/client"
    assert {(hop.packet.dst in pods, hop.packet.dport) for hop in path.request} == {(True, 8080)}
    assert path.rewrites == ()
    first, chosen = (hit for hit in path.rules if hit.table == "cilium_lb4_services_v2")
    assert (first.place, first.chain, first.number) == ("node-1", "cil_sock4_connect", 0)
    assert "[ClusterIP, non-routable]" in first.text
    to, number = chosen.text.split()[2:4]
    assert (to, number) == (f"{path.packet.dst}:8080/TCP", first.text.split()[3])


def test_a_packet_from_outside_is_followed_through_the_nodes_translation(k: Lab) -> None:
    path = k.trace("internet", f"http://{NODES['node-3']}:30080/hostname")
    there = [(r.place, r.action, r.after.src if r.action == "SNAT" else r.after.dport) for r in path.rewrites][:2]
    assert there == [("node-3", "DNAT", 8080), ("node-3", "SNAT", NODES["node-3"])]
    hits = [hit for hit in path.rules if hit.table == "cilium_lb4_services_v2"]
    assert [(hit.place, hit.chain) for hit in hits] == [("node-3", "cil_from_netdev")] * 2
    assert path.rewrites[0].rule == hits[1].text
    assert path.outcome == "200"
    assert path.request[-1].place in ("default/web-a", "default/web-b")
    assert (path.reply[-1].place, path.reply[-1].packet) == ("internet", path.packet.reversed())


def test_programs_see_the_service_they_asked_for(k: Lab) -> None:
    four, six = k.get("svc/web")["spec"]["clusterIPs"]
    done = k.pod("client").run(["python3", "-c", PEERS, four, "80", six], check=True)
    assert done.stdout.splitlines() == [f"{ip} {port}" for ip in (four, f"::ffff:{four}", six) for port in (80, 81)]


def test_netfilter_has_no_rule_of_kube_proxy(k: Lab) -> None:
    for node in NODES:
        rules = k.node(node).run("iptables-legacy-save; ip6tables-legacy-save", check=True).stdout
        assert "KIND-MASQ-AGENT" in rules  # the pods' network's own, so that there is something to be seen at all
        assert "KUBE-" not in rules


def test_the_maps_are_shown_as_cilium_shows_them(k: Lab) -> None:
    shown = k.node("node-3").run("cilium-dbg bpf lb list", check=True).stdout
    ip, pods = k.get("svc/web")["spec"]["clusterIP"], {k.get(f"pod/web-{one}")["status"]["podIP"] for one in "ab"}
    lines = [line.split() for line in shown.splitlines()]
    (number,) = {line[3] for line in lines if line[:2] == [f"{ip}:80/TCP", "(0)"]}
    assert [line[2] for line in lines if line[:1] == [f"{ip}:80/TCP"]][1:] == sorted(f"{p}:8080/TCP" for p in pods)
    assert {line[3] for line in lines if line[:1] == [f"{ip}:80/TCP"]} == {number}
    assert f"{NODES['node-3']}:30082/TCP (0)" in shown  # policy Local: no endpoint for the outside …
    assert f"{NODES['node-3']}:30082/TCP (1)" not in shown
    assert f"{NODES['node-3']}:30082/TCP/i (2)" in shown  # … and both for pods
    assert f"[{NODE_V6['node-3']}]:30082/TCP/i (2)" in shown
    assert "knows one command" in k.node("node-1").run("cilium-dbg status").stderr
    assert "run cilium-dbg on a node" in k.pod("client").run("cilium-dbg bpf lb list").stderr


def test_endpoints_come_and_go(k: Lab) -> None:
    k.apply([pod("web-c", "web", "node-3")])
    k.wait()
    assert set(k.pod("client").get("http://web/hostname", n=30)["body"]) == {"web-a", "web-b", "web-c"}
    k.pod("client").run(["python3", "-c", HOLD, k.get("svc/web")["spec"]["clusterIP"]], check=True)
    k.delete("pod/web-c")
    k.wait()
    assert UNTERMINATED in k.node("node-1").proxy.log  # some of these connections go there: this kernel ends none
    assert UNTERMINATED not in k.node("node-2").proxy.log
    hits = k.pod("client").get("http://web/hostname", n=30)
    assert (errors(hits), set(hits["body"])) == ([], {"web-a", "web-b"})


def test_bookinfo(k: Lab) -> None:
    assert differences(k, "ebpf") == []
