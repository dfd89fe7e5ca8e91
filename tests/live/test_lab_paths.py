"""The way of packets through a whole lab, for both ways to hang pods on nodes and both variants of iptables.

client, near -- node-1 -- s-a -- node-3 -- far        abroad -- node-2 -- s-b -- router -- internet
"""

from collections.abc import Iterator
from typing import Any

import pytest
from inside import NFT
from labs import errors

from labkit import lab
from labkit.lab import Lab
from labkit.net.path import PacketPath
from labkit.net.rules import parse
from labkit.trace.agree import agree
from labkit.trace.model.predict import predict

ON = {"client": "node-1", "near": "node-1", "far": "node-3", "abroad": "node-2"}
NODE_PORT = 30080


def pod(name: str, node: str) -> dict[str, Any]:
    ports = [{"containerPort": 8080}, {"containerPort": 8081, "protocol": "UDP"}]
    containers = [{"name": "c", "image": "agnhost", "ports": ports}]
    spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "containers": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def service(name: str, app: str, node_port: int = 0, target: int = 8080) -> dict[str, Any]:
    http: dict[str, Any] = {"name": "http", "port": 80, "targetPort": target}
    if node_port:
        http["nodePort"] = node_port
    udp = {"name": "udp", "port": 80, "targetPort": 8081, "protocol": "UDP"}
    spec = {"type": "NodePort" if node_port else "ClusterIP", "selector": {"app": app}, "ports": [http, udp]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((cni, variant), id=f"{cni}-{variant}", marks=NFT if variant == "nft" else ())
        for cni in ("ptp", "bridge")
        for variant in ("nft", "legacy")
    ],
)
def k(sandbox: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    cni, variant = request.param
    objects = [pod(name, node) for name, node in ON.items()]
    objects += [service("to-near", "near"), service("to-far", "far"), service("to-abroad", "abroad", NODE_PORT)]
    objects += [service("to-itself", "client"), service("to-none", "none"), service("to-nowhere", "near", target=81)]
    with lab.start(cni=cni, iptables=variant, name="paths") as started:
        started.apply(objects)
        started.wait()
        assert (started.facts["cni"], started.facts["iptables"]) == (cni, variant)
        yield started


def crossed(k: Lab, path: PacketPath, way: str = "request") -> list[str]:
    """The hops as "place interface", a pod's end of its link as "->name" or "name->" on its node."""
    attached = {h: name for name in ON for h in [_host_interface(k, name)]}
    hops = []
    for hop in getattr(path, way):
        if hop.interface in attached:
            hops.append(f"{hop.place} {attached[hop.interface]}")
        else:
            hops.append(f"{hop.place.rpartition('/')[2]} {hop.interface}")
    return hops


def _host_interface(k: Lab, name: str) -> str:
    """The node's end of a pod's link, by its number."""
    number = k.pod(name).run("cat /sys/class/net/eth0/iflink", check=True).stdout.strip()
    lines = k.node(ON[name]).run("ip -o link", check=True).stdout.splitlines()
    return next(line.split()[1].partition("@")[0] for line in lines if line.startswith(f"{number}: "))


# Place and interface of each hop of a request from `client`; `cni0` is there with the bridge plugin only.
SAME_NODE = ["client eth0", "node-1 client", "node-1 cni0", "node-1 near", "near eth0"]
TO_SWITCH = ["client eth0", "node-1 client", "node-1 cni0", "node-1 eth0", "s-a s-a-eth2"]
FAR = [*TO_SWITCH, "s-a s-a-eth3", "node-3 eth0", "node-3 cni0", "node-3 far", "far eth0"]
TO_ROUTER = [*TO_SWITCH, "s-a s-a-eth1", "router zone-a"]
ABROAD = [
    *TO_ROUTER, "router zone-b", "s-b s-b-eth1", "s-b s-b-eth2",
    "node-2 eth0", "node-2 cni0", "node-2 abroad", "abroad eth0",
]  # fmt: skip
HAIRPIN = ["client eth0", "node-1 client", "node-1 cni0", "node-1 client", "client eth0"]
OUTSIDE = [*TO_ROUTER, "router outside", "internet eth0"]
BOTH = ["PREROUTING DNAT", "POSTROUTING SNAT"]

CASES: dict[str, tuple[str, list[str], list[str], str]] = {  # URL, hops, what node-1 rewrites, outcome
    "same node": ("http://to-near", SAME_NODE, BOTH, "200"),
    "other node": ("http://to-far", FAR, BOTH, "200"),
    "other zone": ("http://to-abroad", ABROAD, BOTH, "200"),
    "itself": ("http://to-itself", HAIRPIN, [*BOTH, *BOTH], "200"),
    "datagram": ("udp://to-far:80", FAR, BOTH, "answered"),
    "no endpoints": (
        "http://to-none", ["client eth0", "node-1 client"], [],
        "rejected by rule {number} of KUBE-SERVICES (filter) on node-1",
    ),
    "wrong port": ("http://to-nowhere", SAME_NODE, BOTH, "refused"),
    "outside, refused": ("http://203.0.113.10:81", OUTSIDE, ["POSTROUTING SNAT", "PREROUTING DNAT"], "refused"),
    "outside": ("http://203.0.113.10:8000", OUTSIDE, ["POSTROUTING SNAT", "PREROUTING DNAT"], "200"),
}  # fmt: skip


@pytest.fixture(scope="module")
def web_server_outside(k: Lab) -> None:
    """The client outside serves too, as some host of the internet."""
    k.host("internet").run("python3 -m http.server 8000 -d /sys/class/net >/dev/null 2>&1 &")
    k.host("internet").run("until curl -s 127.0.0.1:8000 >/dev/null; do :; done", timeout=10, check=True)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("web_server_outside")
def test_a_request_goes_where_the_rules_say(k: Lab, case: str) -> None:
    url, hops, rewrites, outcome = CASES[case]
    path = k.trace("client", url)
    # From one port of the bridge to another, cni0 itself sees a packet only while the node has yet to find the
    # neighbour (net/bridge/br_netfilter_hooks.c, br_nf_pre_routing_finish_bridge).
    seen = k.facts["cni"] == "bridge" and "node-1 eth0" in hops
    expected = [hop for hop in hops if seen or not hop.endswith("cni0")]
    assert [hop for hop in crossed(k, path) if seen or not hop.endswith("cni0")] == expected
    assert path.lost == 0
    saved = parse(k.node("node-1").run(f"iptables-{k.facts['iptables']}-save", check=True).stdout)
    number = next((hit.number for hit in path.rules if "REJECT" in hit.text), 0)
    assert path.outcome == outcome.format(number=number)
    assert [f"{r.hook} {r.action}" for r in path.rewrites if r.place == "node-1"] == rewrites
    own = {"172.18.1.11", "10.244.1.1"}
    prediction = predict(saved, path.packet, place="node-1", node_addresses=own)
    assert agree(path, prediction, "node-1") == []
    for hit in path.rules:  # what the kernel reports are the rules that are there
        if hit.place == "node-1" and hit.text:
            chain = saved.chain(hit.table, hit.chain)
            assert chain is not None
            assert chain.rules[hit.number - 1].text == hit.text
    if outcome == "refused":  # the kernel forgets such a connection at once, and it is in the path all the same
        assert (path.conntrack[0].original, path.conntrack[0].state) == (path.packet, "DESTROYED")
    if outcome in ("200", "answered", "refused"):
        back = [hop for hop in crossed(k, path, "reply") if seen or not hop.endswith("cni0")]
        assert back == expected[::-1]


def test_a_pod_is_reached_at_its_own_address_without_translation(k: Lab) -> None:
    address = k.get("pod/abroad")["status"]["podIP"]
    path = k.trace("client", f"http://{address}:8080")
    assert {hop.packet for hop in path.request} == {path.packet}
    assert path.rewrites == ()
    assert path.outcome == "200"


def test_a_dns_query_goes_to_a_coredns_pod(k: Lab) -> None:
    path = k.trace("client", "udp://10.96.0.10:53", timeout=0.3)
    assert path.packet.dport == 53
    assert path.request[-1].place.startswith("kube-system/coredns-")
    assert path.request[-1].packet.dst.startswith("10.244.")
    assert [r.action for r in path.rewrites][:1] == ["DNAT"]


def test_from_outside_through_the_port_of_a_node(k: Lab) -> None:
    path = k.trace("internet", f"http://172.18.1.11:{NODE_PORT}")
    way = ["internet eth0", "router outside", "router zone-a", "s-a s-a-eth1", "s-a s-a-eth2", "node-1 eth0"]
    assert crossed(k, path)[: len(way)] == way
    assert crossed(k, path)[-1] == "abroad eth0"
    assert path.outcome == "200"
    rows = k.host().get(f"http://172.18.1.11:{NODE_PORT}/hostname", n=20)
    assert errors(rows) == []
    assert set(rows["pod"]) == set(rows["body"]) == {"abroad"}


def test_everyone_reaches_everything(k: Lab) -> None:
    for source in ON:
        for target in ("to-near", "to-far", "to-abroad", "to-itself"):
            rows = k.pod(source).get(f"http://{target}/hostname", n=5)
            assert errors(rows) == [], (source, target)
            assert (rows["body"] == rows["pod"]).all()
        assert k.pod(source).run("ping -c1 -W2 203.0.113.10").code == 0
    for node in sorted(set(ON.values())):
        assert k.node(node).run("ping -c1 -W2 203.0.113.10").code == 0
        assert k.host().run(f"ping -c1 -W2 {k.node(node).run('hostname -I').stdout.split()[0]}").code == 0


def test_the_rules_of_a_service_are_read_from_the_kernel(k: Lab) -> None:
    rules = k.rules("node-2", "to-far")
    chains = [chain[:8] for chain in rules["CHAIN"]]
    assert list(dict.fromkeys(chains)) == ["KUBE-SER", "KUBE-SVC", "KUBE-SEP"]
    address = k.get("pod/far")["status"]["podIP"]
    targets = [rule.rpartition(" ")[2] for rule in rules["RULE"] if "DNAT" in rule]
    assert targets == [f"{address}:8080", f"{address}:8081"]


def test_a_node_s_own_tools_show_the_rules_whatever_the_variant(k: Lab) -> None:
    node = k.node("node-1")
    assert "KUBE-SERVICES" in node.run("iptables-save -t nat", check=True).stdout
    assert "default/to-near:http cluster IP" in node.run("iptables -t nat -L KUBE-SERVICES -n", check=True).stdout
    assert f"({'nf_tables' if k.facts['iptables'] == 'nft' else 'legacy'})" in node.run("iptables --version").stdout


def test_a_pod_s_attachment_is_reported_in_cni_form(k: Lab) -> None:
    made = k.cni_result("client")
    assert made and made["cniVersion"] == "1.1.0"
    inside = k.pod("client").run("ip -br addr show eth0; ip -br link show eth0", check=True).stdout
    assert made["ips"][0]["address"] in inside
    assert made["interfaces"][1]["mac"] in inside
    assert f"default via {made['ips'][0]['gateway']}" in k.pod("client").run("ip route", check=True).stdout
