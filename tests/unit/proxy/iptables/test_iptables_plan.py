"""The text of the rules: what `iptables-save` shows on a Kubernetes v1.34 node."""

from typing import Any

import pytest

from labkit.api.objects import EndpointSlice, Node, Service, raw, view
from labkit.net.rules import Ruleset, parse
from labkit.proxy.config import ProxyConfig
from labkit.proxy.iptables.names import endpoint_chain, port_hash
from labkit.proxy.iptables.plan import plan
from labkit.proxy.mode import seen

NODE = view({"metadata": {"name": "node-1"}}, Node)


def web(**spec: Any) -> Service:
    made = {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80}], **spec}
    return view({"metadata": {"namespace": "shop", "name": "web"}, "spec": made}, Service)


def ends(*addresses: str, **more: Any) -> EndpointSlice:
    return view(
        {
            "metadata": {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [{"addresses": [a], **more} for a in addresses],
            "ports": [{"name": "http", "port": 8080}],
        },
        EndpointSlice,
    )


def texts(rules: Ruleset, table: str, prefix: str) -> list[str]:
    return [r.text for c in rules.table(table).chains if c.name.startswith(prefix) for r in c.rules]


def test_cluster_ip() -> None:
    rules = plan(seen([web()], [ends("10.244.2.7", "10.244.1.5", "10.244.1.10")], NODE))
    to = "-d 10.96.0.20/32 -p tcp -m comment --comment"
    assert texts(rules, "nat", "KUBE-SERVICES")[0] == (
        f'{to} "shop/web:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-{port_hash("shop/web:http", "tcp")}'
    )
    svc = texts(rules, "nat", "KUBE-SVC-")
    assert svc[0] == f'! -s 10.244.0.0/16 {to} "shop/web:http cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ'
    chance = "-m statistic --mode random --probability"
    assert [t.rpartition(" -j ")[0] for t in svc[1:]] == [
        f'-m comment --comment "shop/web:http -> 10.244.1.10:8080" {chance} 0.33333333349',
        f'-m comment --comment "shop/web:http -> 10.244.1.5:8080" {chance} 0.50000000000',
        '-m comment --comment "shop/web:http -> 10.244.2.7:8080"',
    ]
    chain = endpoint_chain("shop/web:http", "tcp", "10.244.2.7:8080")
    assert svc[3].endswith(f"-j {chain}")
    assert texts(rules, "nat", chain) == [
        '-s 10.244.2.7/32 -m comment --comment "shop/web:http" -j KUBE-MARK-MASQ',
        '-p tcp -m comment --comment "shop/web:http" -m tcp -j DNAT --to-destination 10.244.2.7:8080',
    ]


def test_no_endpoint_is_rejected_and_nothing_is_translated() -> None:
    for slices in ([], [ends()], [ends("10.244.1.5", conditions={"ready": False})]):
        rules = plan(seen([web()], slices, NODE))
        assert texts(rules, "filter", "KUBE-SERVICES") == [
            '-d 10.96.0.20/32 -p tcp -m comment --comment "shop/web:http has no endpoints" -m tcp --dport 80 '
            "-j REJECT --reject-with icmp-port-unreachable"
        ]
        assert not texts(rules, "nat", "KUBE-SVC-") + texts(rules, "nat", "KUBE-SEP-")
        assert len(texts(rules, "nat", "KUBE-SERVICES")) == 1


def test_local_policy_without_a_local_endpoint_drops() -> None:
    rules = plan(seen([web(internalTrafficPolicy="Local")], [ends("10.244.2.7", nodeName="node-2")], NODE))
    (rule,) = texts(rules, "filter", "KUBE-SERVICES")
    assert '"shop/web:http has no local endpoints"' in rule
    assert rule.endswith("-j DROP")


def test_session_affinity() -> None:
    spec = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    rules = plan(seen([web(**spec)], [ends("10.244.1.5", "10.244.2.7")], NODE))
    svc = texts(rules, "nat", "KUBE-SVC-")
    chains = [t.rpartition(" ")[2] for t in svc[3:]]
    assert svc[1:3] == [
        f'-m comment --comment "shop/web:http -> {address}:8080" -m recent --rcheck --seconds 60 --reap '
        f"--name {chain} --mask 255.255.255.255 --rsource -j {chain}"
        for address, chain in zip(("10.244.1.5", "10.244.2.7"), chains, strict=True)
    ]
    assert texts(rules, "nat", chains[0])[1] == (
        f'-p tcp -m comment --comment "shop/web:http" -m recent --set --name {chains[0]} --mask 255.255.255.255 '
        "--rsource -m tcp -j DNAT --to-destination 10.244.1.5:8080"
    )


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_other_protocols(protocol: str) -> None:
    one = web(ports=[{"name": "http", "port": 80, "protocol": protocol}])
    wrong = ends("10.244.1.5")
    right = view(
        {
            "metadata": {"namespace": "shop", "labels": wrong.metadata.labels},
            "ports": [{"name": "http", "port": 53, "protocol": protocol}],
            "endpoints": [{"addresses": ["10.244.1.5"]}],
        },
        EndpointSlice,
    )
    rules = plan(seen([one], [wrong, right], NODE))
    low = protocol.lower()
    (dnat,) = [t for t in texts(rules, "nat", "KUBE-SEP-") if "DNAT" in t]
    assert dnat.startswith(f"-p {low} ")
    assert dnat.endswith(f"-m {low} -j DNAT --to-destination 10.244.1.5:53")


def test_the_frame_is_there_without_any_service() -> None:
    rules = plan(seen([], [], NODE))
    assert [str(r) for r in rules.chain("filter", "FORWARD").rules] == [
        '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL',
        '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
        '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" '
        "-j KUBE-EXTERNAL-SERVICES",
    ]
    assert texts(rules, "nat", "KUBE-POSTROUTING") == [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --set-xmark 0x4000/0x0",
        '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ]
    assert all(rules.chain(table, "KUBE-PROXY-CANARY") for table in ("mangle", "filter", "nat"))


def test_config_shapes_the_frame() -> None:
    config = ProxyConfig(masquerade_all=True, masquerade_bit=5, conntrack_liberal=True)
    rules = plan(seen([web()], [ends("10.244.1.5")], NODE), config)
    assert texts(rules, "nat", "KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x20/0x20"]
    assert texts(rules, "nat", "KUBE-SVC-")[0].startswith("-d 10.96.0.20/32 ")
    assert not any("INVALID" in t for t in texts(rules, "filter", "KUBE-FORWARD"))
    undetected = plan(seen([web()], [ends("10.244.1.5")], NODE), ProxyConfig(cluster_cidr=""))
    assert not any("KUBE-MARK-MASQ" in t for t in texts(undetected, "nat", "KUBE-SVC-"))


def test_a_source_range_of_everything_has_no_source_match() -> None:
    spec = {"type": "LoadBalancer", "loadBalancerSourceRanges": ["0.0.0.0/0", "10.1.2.3/8"]}
    one = view(
        {
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80}], **spec},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
        },
        Service,
    )
    first, second, _ = texts(plan(seen([one], [ends("10.244.1.5")], NODE)), "nat", "KUBE-FW-")
    assert first.startswith("-m comment")
    assert second.startswith("-s 10.0.0.0/8 -m comment")


def test_order_of_the_objects_plays_no_part() -> None:
    services = [
        web(),
        view(
            {"metadata": {"namespace": "a", "name": "b"}, "spec": {"clusterIP": "10.96.0.21", "ports": [{"port": 1}]}},
            Service,
        ),
    ]
    slices = [
        ends("10.244.1.5"),
        view({**raw(ends("10.244.2.7")), "metadata": {**raw(ends().metadata), "name": "web-2"}}, EndpointSlice),
    ]
    assert plan(seen(services, slices, NODE)) == plan(seen(services[::-1], slices[::-1], NODE))


def test_large_clusters_have_no_comments_on_endpoint_rules() -> None:
    many = ends(*(f"10.244.{i // 250}.{i % 250 + 1}" for i in range(1001)))
    rules = plan(seen([web()], [many], NODE))
    assert not any("comment" in t for t in texts(rules, "nat", "KUBE-SEP-") + texts(rules, "nat", "KUBE-SVC-")[1:])
    assert "cluster IP" in texts(rules, "nat", "KUBE-SVC-")[0]


def test_text_and_parse_are_inverse() -> None:
    rules = plan(seen([web(sessionAffinity="ClientIP")], [ends("10.244.1.5", "10.244.2.7")], NODE))
    assert parse(str(rules)) == rules


def test_pods_can_be_told_by_the_interface_that_they_come_by() -> None:
    outside = web(
        type="NodePort", externalTrafficPolicy="Local", ports=[{"name": "http", "port": 80, "nodePort": 30080}]
    )
    rules = plan(seen([outside], [ends("10.244.1.5")], NODE), ProxyConfig(cluster_cidr="", local_interface="veth+"))
    assert texts(rules, "nat", "KUBE-SVC-")[0].startswith("-d 10.96.0.20/32 ! -i veth+ -p tcp ")
    assert texts(rules, "nat", "KUBE-EXT-")[0].startswith("-i veth+ -m comment ")
