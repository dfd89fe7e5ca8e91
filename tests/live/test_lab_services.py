"""The main job: ordinary manifests go in, and every Service answers by name from everywhere, as its rules say."""

import json
from collections.abc import Iterator
from itertools import product

import pytest
from bookinfo import differences
from labs import BOOKINFO, SHOP_SERVICES, errors, places
from scipy import stats

from labkit import lab
from labkit.lab import Lab

CURL = "for u in {urls}; do curl -s -o /dev/null -m 3 -w '%{{http_code}} ' $u; done"
ONE_KIND = pytest.mark.sandbox("namespaces")  # in the other the shop is asked the same, and it takes its time there
LOOK_UP = """
import json, socket, sys
found = {name: socket.getaddrinfo(name, 80, socket.AF_INET) for name in sys.argv[1:]}
print(json.dumps({name: sorted({i[4][0] for i in infos}) for name, infos in found.items()}))
"""


@pytest.fixture(scope="module")
def bookinfo() -> Iterator[Lab]:
    with lab.start(name="bookinfo") as started:
        started.apply(BOOKINFO)
        started.wait()
        yield started


def forms(name: str, namespace: str) -> list[str]:
    """The names by which a pod of the namespace finds the Service."""
    return [name, f"{name}.{namespace}", f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.cluster.local"]


def answers_everywhere(k: Lab, services: list[tuple[str, int]], namespace: str) -> None:
    """Every Service by every form of its name, from every pod: curl, the resolver of Python's C library, requests."""
    addresses = {s["metadata"]["name"]: s["spec"].get("clusterIP") for s in k.objects("Service", namespace)}
    names = [form for name, _ in services for form in forms(name, namespace)]
    urls = [f"http://{form}:{port}/hostname" for name, port in services for form in forms(name, namespace)]
    wanted = {form: [addresses[name]] for name, _ in services for form in forms(name, namespace)}
    pods = [p["name"] for p in places(k) if p["name"].startswith(f"{namespace}/")]
    assert {p["node"] for p in places(k)} == {"node-1", "node-2", "node-3"}
    for name in pods:
        pod = k.pod(name)
        assert pod.run(CURL.format(urls=" ".join(urls))).stdout.split() == ["200"] * len(urls), name
        looked_up = pod.run(["python3", "-c", LOOK_UP, *names], check=True)
        assert json.loads(looked_up.stdout) == wanted, name
        rows = [pod.get(url).iloc[0] for url in urls]
        assert {(r["status"], r["error"]) for r in rows} == {(200, "")}, name
        assert all(r["body"] == r["pod"] for r in rows)


@ONE_KIND
def test_every_service_of_bookinfo_answers_from_every_pod(bookinfo: Lab) -> None:
    answers_everywhere(bookinfo, [(name, 9080) for name in ("details", "productpage", "ratings", "reviews")], "default")


@ONE_KIND
def test_bookinfo_from_inside_and_outside(bookinfo: Lab) -> None:
    assert differences(bookinfo, "iptables") == []


def test_every_service_of_the_shop_answers_from_every_pod(shop: Lab) -> None:
    answers_everywhere(shop, list(SHOP_SERVICES), "shop")


@ONE_KIND
def test_3000_requests_spread_evenly_and_every_row_names_who_answered(bookinfo: Lab) -> None:
    rows = bookinfo.pod("productpage").get("http://reviews:9080/hostname", n=3000)
    assert errors(rows) == []
    assert len(rows) == 3000
    assert set(rows["status"]) == {200}
    assert (rows["body"] == rows["pod"]).all(), rows[rows["body"] != rows["pod"]]
    counts = rows["pod"].value_counts()
    assert sorted(name.rsplit("-", 2)[0] for name in counts.index) == ["reviews-v1", "reviews-v2", "reviews-v3"]
    assert stats.chisquare(counts).pvalue > 0.0001, counts
    nodes = {p["name"].partition("/")[2]: (p["node"], p["zone"]) for p in places(bookinfo)}
    assert (rows["node"] + rows["zone"] == rows["pod"].map(lambda name: "".join(nodes[name]))).all()


def test_rows_agree_with_the_bodies_when_source_ports_are_used_again(shop: Lab) -> None:
    """With few ports a connection meets its predecessor's conntrack entry."""
    client = shop.pod("shop/client")
    client.run("sysctl -qw net.ipv4.ip_local_port_range='40000 40199'", check=True)
    rows = client.get("http://web/hostname", n=600, concurrency=4)
    client.run("sysctl -qw net.ipv4.ip_local_port_range='32768 60999'", check=True)
    answered = rows[rows["error"] == ""]
    assert len(answered) >= 190, errors(rows)
    assert (answered["body"] == answered["pod"]).all(), answered[answered["body"] != answered["pod"]]


def test_datagrams_and_connections_without_http(shop: Lab) -> None:
    client = shop.pod("shop/client")
    rows = client.get("udp://api:5300", n=40)
    assert errors(rows) == []
    assert set(rows["body"]) == {p["name"].partition("/")[2] for p in places(shop) if p["name"].startswith("shop/api")}
    assert (rows["body"] == rows["pod"]).all()
    assert errors(client.get("tcp://api:8080", n=5)) == []


def test_a_headless_service_resolves_to_its_pods(shop: Lab) -> None:
    web = sorted(p["addresses"][0] for p in places(shop) if p["name"].startswith("shop/web"))
    found = shop.pod("shop/client").run(["python3", "-c", LOOK_UP, "web-pods"], check=True)
    assert json.loads(found.stdout) == {"web-pods": web}
    rows = shop.pod("shop/client").get("http://web-pods:8080/hostname", n=60)
    assert errors(rows) == []
    assert len(set(rows["body"])) == 3


def test_nodes_and_the_router_reach_cluster_addresses(shop: Lab) -> None:
    address = shop.get("svc/web", namespace="shop")["spec"]["clusterIP"]
    for node in ("node-1", "node-2", "node-3"):
        rows = shop.node(node).get(f"http://{address}/hostname", n=10)
        assert errors(rows) == []
        assert (rows["body"] == rows["pod"]).all()


def test_pods_reach_the_internet_and_the_internet_reaches_the_nodes(shop: Lab) -> None:
    for pod, node in product(("web", "api"), ("node-1", "node-2")):
        name = next(p["name"] for p in places(shop) if p["name"].startswith(f"shop/{pod}"))
        assert shop.pod(name).run("ping -c1 -W2 203.0.113.10").code == 0
        assert shop.host("internet").run(f"ping -c1 -W2 {_address(shop, node)}").code == 0


def _address(k: Lab, node: str) -> str:
    return str(next(p["addresses"][0] for p in places(k, "node") if p["name"] == node))


def test_a_pod_has_its_own_name_resolver_and_hosts(shop: Lab) -> None:
    for place in places(shop):
        namespace, _, name = place["name"].partition("/")
        told = shop.pod(place["name"]).run("hostname; hostname -i; cat /etc/resolv.conf", check=True).stdout.split("\n")
        assert told[:2] == [name, place["addresses"][0]]
        assert f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local" in told
        assert "nameserver 10.96.0.10" in told
        links = shop.pod(place["name"]).run("ls /sys/class/net", check=True).stdout.split()
        assert sorted(links) == ["eth0", "lo"]


def test_machines_and_pods_in_their_network_know_the_machines_by_name(shop: Lab) -> None:
    addresses = {p["name"]: p["addresses"][0] for p in places(shop, "node")}
    proxy = next(p["metadata"]["name"] for p in shop.objects("Pod", "kube-system") if p["spec"].get("hostNetwork"))
    for place in (shop.node("node-1"), shop.node("node-2"), shop.pod(f"kube-system/{proxy}")):
        for name, address in {"localhost": "127.0.0.1", **addresses}.items():
            assert place.run(f"getent ahostsv4 {name}", check=True).stdout.split()[0] == address
