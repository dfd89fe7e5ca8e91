"""A whole lab in ipvs mode: it brings a kernel that has IPVS, and every Service answers from pod, node and outside."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from bookinfo import differences
from labs import errors, places

from labkit import lab
from labkit.lab import Lab
from labkit.net import ipset, ipvs
from labkit.net.packet import Packet
from labkit.net.rules import parse
from labkit.proxy.ipvs.plan import IpvsPlan
from labkit.trace.agree import agree
from labkit.trace.model.predict import predict
from labkit.trace.model.schedulers import Spread

pytestmark = pytest.mark.sandbox("uml")  # most machines' own kernels have no IPVS


def deployment(name: str, replicas: int, **annotations: str) -> dict[str, Any]:
    labels = {"app": "web", "weight": name}
    containers = [{"name": "c", "image": "agnhost", "ports": [{"containerPort": 8080}]}]
    metadata = {"labels": labels, "annotations": annotations}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
    spec["template"] = {"metadata": metadata, "spec": {"containers": containers}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name: str, node_port: int, **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": node_port}]
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": ports, **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


NODES = {"node-1": "172.18.1.11", "node-2": "172.18.2.12", "node-3": "172.18.1.13"}
CLIENT = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "client", "labels": {"app": "client"}},
    "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "agnhost"}]},
}
HEAVY = deployment("heavy", 1, **{"labkit.dev/ipvs-weight": "3"})
HEAVY["spec"]["template"]["spec"]["nodeName"] = "node-3"  # where addresses are the highest
OBJECTS = [
    CLIENT,
    deployment("light", 2),
    service("web", 30080),
    service("near", 30081, externalTrafficPolicy="Local"),
    service("sticky", 30082, sessionAffinity="ClientIP"),
    {**service("none", 30083), "spec": {"selector": {"app": "none"}, "ports": [{"port": 80}]}},
]


@pytest.fixture(scope="module")
def k(sandbox: str) -> Iterator[Lab]:
    with lab.start(name="ipvs", proxy_mode="ipvs", proxy_config={"ipvs": {"scheduler": "wrr"}}) as started:
        started.apply(OBJECTS)
        started.wait()
        started.apply([HEAVY])  # later, so that it is the first in the kernel's lists, which are not sorted
        started.wait()
        yield started


def address(k: Lab, name: str) -> str:
    (found,) = [s for s in k.objects("Service") if s["metadata"]["name"] == name]
    return str(found["spec"]["clusterIP"])


def on_node(k: Lab, node: str) -> IpvsPlan:
    """What a node has, read by its tools."""

    def said(command: str) -> str:
        return k.node(node).run(command, check=True).stdout

    return IpvsPlan(
        servers=tuple(ipvs.parse(said("ipvsadm-save -n"))),
        bound=tuple(line.split()[3].split("/")[0] for line in said("ip -o -4 addr show dev kube-ipvs0").splitlines()),
        sets=tuple(ipset.parse(said("ipset save"))),
        rules=parse(said("iptables-save")),
    )


def test_the_kernel_is_the_lab_s_own_and_the_tables_are_there(k: Lab) -> None:
    assert k.facts["proxy_mode"] == "ipvs"
    listed = k.node("node-1").run("ipvsadm -Ln", check=True).stdout
    assert f"TCP  {address(k, 'web')}:80 wrr\n" in listed
    assert f"TCP  {address(k, 'sticky')}:80 wrr persistent 10800\n" in listed
    assert "172.18.1.11:30080 wrr" in listed
    assert "127.0.0.1" not in listed


def test_services_answer_from_pod_node_and_outside(k: Lab) -> None:
    urls = [f"http://{address(k, 'web')}/hostname", *(f"http://{ip}:30080/hostname" for ip in NODES.values())]
    for source in (k.pod("client"), k.node("node-1"), k.node("node-2"), k.host("internet")):
        for url in urls[1:] if source.name == "internet" else urls:
            hits = source.get(url, n=10)
            assert (errors(hits), set(hits["status"])) == ([], {200}), (source.name, url)
            assert sorted(hits.groupby("body").size()) == [2, 2, 6], (source.name, url)
    assert set(k.pod("client").get("http://web", n=3)["status"]) == {200}
    assert errors(k.pod("client").get("http://none", n=1)) != []
    assert k.pod("client").get("http://sticky", n=9)["pod"].nunique() == 1


def test_who_asks_is_seen_as_the_policy_says(k: Lab) -> None:
    """Where a Local Service has no endpoint, packets go to other nodes, whose answers do not come by this one."""
    serving = {p["node"] for p in places(k) if p["name"].startswith(("default/heavy", "default/light"))}
    for node, ip in NODES.items():
        seen = k.host("internet").get(f"http://{ip}:30080/clientip", n=1)["body"][0]
        assert not seen.startswith("203.0.113.10:")
        near = k.host("internet").get(f"http://{ip}:30081/clientip", n=1, timeout=0.5)
        if node in serving:
            assert near["body"][0].startswith("203.0.113.10:")
        else:
            assert errors(near) == ["timed out after 0.5 s"]


def test_the_rules_of_a_service_are_its_servers_and_entries(k: Lab) -> None:
    rows = k.rules("node-1", "near")
    assert set(rows["TABLE"]) == {"ipvs", "ipset"}
    assert f"-A -t {address(k, 'near')}:80 -s wrr" in list(rows["RULE"])
    assert "add KUBE-NODE-PORT-LOCAL-TCP 30081" in list(rows["RULE"])
    assert k.rules("node-1", "nobody").empty


@pytest.mark.parametrize("scheduler", ["lc", "sh"])
def test_who_gets_a_connection_is_predicted_one_by_one(k: Lab, scheduler: str) -> None:
    web, node = address(k, "web"), k.node("node-1")
    weighted = on_node(k, "node-1").server(("tcp", web, 80))
    assert weighted and sorted(s.weight for s in weighted.servers) == [1, 1, 3]
    node.run(f"ipvsadm -D -t {web}:80; ipvsadm -A -t {web}:80 -s {scheduler}", check=True)
    for server in reversed(weighted.servers):
        node.run(f"ipvsadm {weighted.added(server)}", check=True)
    spread = Spread(msgspec.structs.replace(weighted, scheduler=scheduler))
    hits = k.pod("client").get(f"http://{web}", n=20, concurrency=1)
    assert errors(hits) == []
    names = {p["status"]["podIP"]: p["metadata"]["name"] for p in k.objects("Pod")}
    for local, pod in zip(hits["local"], hits["pod"], strict=True):
        source, _, port = local.rpartition(":")
        chosen = spread.connect(Packet(source, web, "TCP", int(port), 80))
        assert chosen is not None and pod.endswith(names[chosen.ip])
        spread.established(chosen)
        spread.closed(chosen)


@pytest.mark.parametrize(
    ("source", "url", "translated"),
    [
        ("client", "http://web", "node-1"),
        ("client", "http://sticky", "node-1"),
        ("node-1", "http://172.18.2.12:30080", "node-2"),
        ("internet", "http://172.18.2.12:30081", "node-2"),
    ],
)
def test_a_trace_names_the_virtual_server_and_the_model_agrees(k: Lab, source: str, url: str, translated: str) -> None:
    path = k.trace(source, url)
    assert (path.outcome, path.lost) == ("200", 0)
    first = next(r for r in path.rewrites if r.action == "DNAT")
    assert (first.place, first.hook) == (translated, "INPUT")
    assert first.rule.startswith(f"-a -t {path.packet.dst}:{path.packet.dport} -r ")
    plan = on_node(k, translated)
    own = {line.split()[3].split("/")[0] for line in k.node(translated).run("ip -o -4 addr").stdout.splitlines()}
    remembered = {hit.chain + " " + hit.text.split()[4] for hit in path.rules if hit.table == "ipvs"}
    prediction = predict(plan, path.packet, place=translated, node_addresses=own, remembered=remembered)
    assert agree(path, prediction, translated) == []


def test_what_somebody_deletes_comes_back_and_a_deleted_service_goes(k: Lab) -> None:
    node, web = k.node("node-1"), address(k, "web")
    node.run(f"ipvsadm -C; ipset flush KUBE-CLUSTER-IP; ip addr del {web}/32 dev kube-ipvs0", check=True)
    assert errors(k.pod("client").get(f"http://{web}", n=1)) != []
    k.kubectl("label node node-1 topology.kubernetes.io/zone=c --overwrite")  # the node's proxy looks at everything
    k.wait()
    assert set(k.pod("client").get(f"http://{web}", n=3)["status"]) == {200}
    k.delete("service/near")
    k.wait()
    assert ":30081" not in node.run("ipvsadm-save -n", check=True).stdout


def test_bookinfo(k: Lab) -> None:
    assert differences(k, "ipvs") == []
