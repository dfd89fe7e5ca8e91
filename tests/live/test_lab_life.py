"""What changes while a lab runs: pods come and go, fail, move; Services follow, and the kernel with them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from labs import errors, places, pod_names, wait_until

from labkit import lab
from labkit.errors import ApiError, LabError, WaitTimeout
from labkit.lab import Lab


def deployment(name: str, replicas: int, **spec: Any) -> list[dict[str, Any]]:
    """A Deployment of web servers, and its Service."""
    labels = {"app": name}
    container = {"name": "web", "image": spec.pop("image", "nginx:1"), "ports": [{"containerPort": 80}]}
    if probe := spec.pop("probe", None):
        container["readinessProbe"] = probe
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    wanted = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": wanted},
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80}], **spec},
        },
    ]  # fmt: skip


@pytest.fixture(scope="module")
def k() -> Iterator[Lab]:
    with lab.start(name="life") as started:
        pod = {"containers": [{"name": "c", "image": "pause"}]}
        started.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": pod})
        started.wait()
        yield started


@pytest.fixture
def web(k: Lab) -> Iterator[Lab]:
    """The lab with three web servers; without any afterwards."""
    k.apply(deployment("web", 3))
    k.wait("deployment/web")
    k.wait("svc/web")
    yield k
    k.delete("deployment/web")
    k.delete("svc/web")
    assert pod_names(k, "default/web") == []


def answering(k: Lab, n: int = 60, service: str = "web") -> set[str]:
    """The pods that answer through the Service; no request may fail."""
    rows = k.pod("client").get(f"http://{service}/hostname", n=n)
    assert errors(rows) == []
    assert (rows["body"] == rows["pod"]).all()
    return {f"default/{name}" for name in rows["pod"]}


def endpoints(k: Lab, service: str = "web") -> set[str]:
    """The ready addresses in the Service's slices."""
    mine = [s for s in k.objects("EndpointSlice") if s["metadata"]["labels"]["kubernetes.io/service-name"] == service]
    return {a for s in mine for e in s.get("endpoints") or () if e["conditions"]["ready"] for a in e["addresses"]}


def targets(k: Lab, service: str = "web") -> dict[str, set[str]]:
    """Where each node's kernel sends the Service's connections."""
    return {
        name: {r.rpartition(" ")[2].partition(":")[0] for r in k.rules(name, service)["RULE"] if "DNAT" in r}
        for name in ("node-1", "node-2", "node-3")
    }


def addresses(k: Lab) -> set[str]:
    return {p["addresses"][0] for p in places(k) if p["name"].startswith("default/web")}


def consistent(k: Lab, count: int) -> None:
    """Pods, slices and every node's rules name the same servers."""
    assert len(addresses(k)) == count
    assert endpoints(k) == addresses(k)
    assert targets(k) == dict.fromkeys(("node-1", "node-2", "node-3"), addresses(k))


@contextmanager
def load(k: Lab, service: str = "web") -> Iterator[list[str]]:
    """Requests all the while; the errors that they met are in the list afterwards."""
    met: list[str] = []
    made = threading.Event()
    stop = threading.Event()

    def work() -> None:
        client = k.pod("client")
        while not stop.is_set():
            met.extend(errors(client.get(f"http://{service}/hostname", n=50, concurrency=2)))
            made.set()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert made.wait(10)
        yield met
    finally:
        stop.set()
        thread.join()


def test_scaling_up_under_load_fails_no_request(web: Lab) -> None:
    with load(web) as met:
        web.scale("deployment/web", 9)
        web.scale("deployment/web", 12)
    assert met == []
    assert answering(web, 300) == set(pod_names(web, "default/web"))
    consistent(web, 12)


def test_scaling_down_leaves_the_remaining_pods_answering(web: Lab) -> None:
    web.scale("deployment/web", 9)
    web.scale("deployment/web", 2)
    with load(web) as met:
        consistent(web, 2)
        assert answering(web, 200) == set(pod_names(web, "default/web"))
    assert met == []


def test_scaling_to_nothing_and_back(web: Lab) -> None:
    web.scale("deployment/web", 0)
    consistent(web, 0)
    assert errors(web.pod("client").get("http://web", n=3)) == ["connection refused"]
    web.scale("deployment/web", 3)
    consistent(web, 3)
    assert len(answering(web)) == 3


def test_a_deleted_pod_is_replaced_and_the_endpoints_follow(web: Lab) -> None:
    before = pod_names(web, "default/web")
    web.delete(f"pod/{before[0].partition('/')[2]}")
    web.wait("deployment/web")
    after = pod_names(web, "default/web")
    assert len(after) == 3
    assert len(set(after) & set(before)) == 2
    consistent(web, 3)
    assert answering(web) == set(after)
    with pytest.raises(LabError, match="no pod"):
        web.pod(before[0])


def test_a_pod_that_is_not_ready_gets_no_connections(k: Lab) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
    k.apply(deployment("web", 3, probe=probe))
    k.wait("deployment/web", timeout=10)
    victim = pod_names(k, "default/web")[0]
    address = next(p["addresses"][0] for p in places(k) if p["name"] == victim)
    k.pod(victim).run("iptables -I INPUT -p tcp --dport 80 -j REJECT", check=True)
    wait_until(lambda: address not in endpoints(k), 5, "the endpoint's end")
    with pytest.raises(WaitTimeout, match="web has 2 of 3 pods available"):
        k.wait("deployment/web", timeout=0.1)
    wait_until(lambda: address not in targets(k)["node-1"], 5, "the rules")
    assert victim not in answering(k)
    assert (k.events()["REASON"] == "Unhealthy").any()
    k.pod(victim).run("iptables -D INPUT -p tcp --dport 80 -j REJECT", check=True)
    k.wait("deployment/web", timeout=10)
    consistent(k, 3)
    assert victim in answering(k, 100)
    k.delete("deployment/web")
    k.delete("svc/web")


def test_session_affinity_keeps_a_client_with_its_pod(k: Lab) -> None:
    k.apply(deployment("web", 3, sessionAffinity="ClientIP"))
    k.wait()
    assert len(answering(k)) == 1
    k.apply(deployment("web", 3, sessionAffinity="None"))
    k.wait()
    assert len(answering(k)) == 3
    k.delete("deployment/web")
    k.delete("svc/web")


def test_a_rolling_update_under_load_replaces_every_pod(web: Lab) -> None:
    before = set(pod_names(web, "default/web"))
    with load(web) as met:
        web.apply(deployment("web", 3, image="nginx:2"))
        web.wait("deployment/web")
        web.scale("deployment/web", 8)
        web.scale("deployment/web", 3)
        wait_until(lambda: len(pod_names(web, "default/web")) == 3, 20, "the end of the pods")
    assert met == []
    after = set(pod_names(web, "default/web"))
    assert len(after) == 3
    assert not after & before
    consistent(web, 3)
    assert answering(web) == after
    images = {p["spec"]["containers"][0]["image"] for p in web.objects("Pod") if p["metadata"]["name"] != "client"}
    assert images == {"nginx:2"}


def test_a_deleted_namespace_takes_everything_with_it(k: Lab) -> None:
    k.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}})
    k.apply(deployment("web", 4), namespace="gone")
    k.wait()
    rows = k.pod("client").get("http://web.gone", n=20)
    assert errors(rows) == []
    k.delete("ns/gone")
    assert [p for p in places(k) if p["name"].startswith("gone/")] == []
    assert "gone" not in list(k.table("Namespace")["NAME"])
    assert errors(k.pod("client").get("http://web.gone"))[0].startswith("could not resolve web.gone")
    for node in ("node-1", "node-2", "node-3"):
        assert "gone/web" not in k.node(node).run("iptables-save", check=True).stdout
        links = k.node(node).run("ip -o link show type veth", check=True).stdout.splitlines()
        pods = [p for p in places_with_system(k) if p["node"] == node]
        assert len(links) == len(pods) + 1  # and the node's own eth0
    with pytest.raises(ApiError, match="not found"):
        k.get("ns/gone")


def places_with_system(k: Lab) -> list[dict[str, Any]]:
    return [p for p in k.topology()["places"] if p["kind"] == "pod"]


def test_a_hundred_pods_on_three_nodes(web: Lab) -> None:
    web.scale("deployment/web", 100)
    consistent(web, 100)
    count = {node: sum(p["node"] == node for p in places(web)) for node in ("node-1", "node-2", "node-3")}
    assert max(count.values()) - min(count.values()) <= 2
    assert len(answering(web, 2000)) == 100
    web.scale("deployment/web", 1)
    consistent(web, 1)


def test_created_and_deleted_at_once_leaves_nothing(k: Lab) -> None:
    """What is deleted while it is being set up does not come to life afterwards."""
    before = k.topology()["places"]
    for _ in range(5):
        k.apply(deployment("brief", 6))
        k.delete("deployment/brief")
        k.delete("svc/brief")
    k.wait()
    assert k.topology()["places"] == before
    assert [p["metadata"]["name"] for p in k.objects("Pod")] == ["client"]


def test_names_are_known_to_dns_as_soon_as_the_wait_is_over(k: Lab) -> None:
    client = k.pod("client")
    for number in range(20):
        k.apply(deployment(f"new-{number}", 1)[1])
        k.wait()
        assert errors(client.get(f"http://new-{number}")) == ["connection refused"]
    for number in range(20):
        k.delete(f"svc/new-{number}")
    assert errors(client.get("http://new-19"))[0].startswith("could not resolve")


def test_a_pod_bound_by_hand_to_a_node_that_is_not_there(k: Lab) -> None:
    """It stays as it is, disturbs nobody, and can be deleted."""
    spec = {"nodeName": "node-9", "containers": [{"name": "c", "image": "pause"}]}
    k.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lost"}, "spec": spec})
    with pytest.raises(WaitTimeout, match="pod lost"):
        k.wait("pod/lost", timeout=0.1)
    k.apply(deployment("web", 1))
    k.wait("deployment/web")
    k.delete("deployment/web")
    k.delete("svc/web")
    k.delete("pod/lost", timeout=2)


def test_a_wait_without_anything_to_wait_for_returns(k: Lab) -> None:
    k.wait()
    k.wait("pod/client")
    k.wait("svc/kube-dns", namespace="kube-system")


@pytest.mark.parametrize("where", ["pod", "node"])
def test_a_pod_whose_link_was_deleted_by_hand_can_be_deleted(web: Lab, where: str) -> None:
    victim = pod_names(web, "default/web")[0]
    number = web.pod(victim).run("cat /sys/class/net/eth0/iflink", check=True).stdout.strip()
    node = next(p["node"] for p in places(web) if p["name"] == victim)
    if where == "pod":
        web.pod(victim).run("ip link del eth0", check=True)
    else:
        web.node(node).run(f"ip link del $(ip -o link | sed -n 's/^{number}: \\([^@]*\\).*/\\1/p')", check=True)
    web.scale("deployment/web", 6)
    web.delete(f"pod/{victim.partition('/')[2]}", timeout=5)
    web.scale("deployment/web", 0)
    assert pod_names(web, "default/web") == []
    web.scale("deployment/web", 3)
    consistent(web, 3)
    assert len(answering(web)) == 3
