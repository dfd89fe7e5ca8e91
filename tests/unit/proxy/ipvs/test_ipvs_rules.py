"""The rules: what `iptables-save` shows on a v1.34 node in ipvs mode."""

import pytest
from ipvs_objects import CLUSTER_IPS, COMMENT, NODE, chain, elements, ends, made, web

from labkit.proxy.config import ProxyConfig
from labkit.proxy.ipvs.plan import plan
from labkit.proxy.mode import seen


def test_the_frame_is_there_without_any_service() -> None:
    found = plan(seen([], [], NODE))
    assert not found.servers
    assert not found.bound
    assert [(one.name, one.kind) for one in found.sets] == [
        ("KUBE-LOOP-BACK", "hash:ip,port,ip"),
        ("KUBE-CLUSTER-IP", "hash:ip,port"),
        ("KUBE-EXTERNAL-IP", "hash:ip,port"),
        ("KUBE-EXTERNAL-IP-LOCAL", "hash:ip,port"),
        ("KUBE-LOAD-BALANCER", "hash:ip,port"),
        ("KUBE-LOAD-BALANCER-FW", "hash:ip,port"),
        ("KUBE-LOAD-BALANCER-LOCAL", "hash:ip,port"),
        ("KUBE-LOAD-BALANCER-SOURCE-IP", "hash:ip,port,ip"),
        ("KUBE-LOAD-BALANCER-SOURCE-CIDR", "hash:ip,port,net"),
        ("KUBE-NODE-PORT-TCP", "bitmap:port"),
        ("KUBE-NODE-PORT-LOCAL-TCP", "bitmap:port"),
        ("KUBE-NODE-PORT-UDP", "bitmap:port"),
        ("KUBE-NODE-PORT-LOCAL-UDP", "bitmap:port"),
        ("KUBE-NODE-PORT-SCTP-HASH", "hash:ip,port"),
        ("KUBE-NODE-PORT-LOCAL-SCTP-HASH", "hash:ip,port"),
        ("KUBE-HEALTH-CHECK-NODE-PORT", "bitmap:port"),
        ("KUBE-IPVS-IPS", "hash:ip"),
    ]
    assert chain(found, "filter", "INPUT") == [
        '-m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-FILTER',
        '-m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
        '-m comment --comment "kubernetes health check rules" -j KUBE-NODE-PORT',
    ]
    assert chain(found, "filter", "FORWARD") == [
        '-m comment --comment "kube-proxy firewall rules" -j KUBE-PROXY-FIREWALL',
        '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    ]
    assert chain(found, "filter", "OUTPUT") == [
        '-m comment --comment "kubernetes ipvs access filter" -j KUBE-IPVS-OUT-FILTER'
    ]
    assert chain(found, "filter", "KUBE-IPVS-FILTER") == [
        "-m set --match-set KUBE-LOAD-BALANCER dst,dst -j RETURN",
        "-m set --match-set KUBE-CLUSTER-IP dst,dst -j RETURN",
        "-m set --match-set KUBE-EXTERNAL-IP dst,dst -j RETURN",
        "-m set --match-set KUBE-EXTERNAL-IP-LOCAL dst,dst -j RETURN",
        "-m set --match-set KUBE-HEALTH-CHECK-NODE-PORT dst -j RETURN",
        "-m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable",
    ]
    assert chain(found, "filter", "KUBE-FORWARD") == [
        '-m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
        '-m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED '
        "-j ACCEPT",
    ]
    assert chain(found, "filter", "KUBE-SOURCE-RANGES-FIREWALL") == ["-j DROP"]
    assert chain(found, "nat", "KUBE-LOAD-BALANCER") == ["-j KUBE-MARK-MASQ"]
    assert chain(found, "nat", "KUBE-MARK-MASQ") == ["-j MARK --set-xmark 0x4000/0x4000"]


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_node_ports_of_other_protocols(protocol: str) -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": protocol}]
    found = made(web("NodePort", ports=ports, externalTrafficPolicy="Local"))
    element = "30080" if protocol == "UDP" else "172.18.1.2,sctp:30080"
    kind = protocol if protocol == "UDP" else "SCTP-HASH"
    assert elements(found)[f"KUBE-NODE-PORT-{kind}"] == [element]
    assert elements(found)[f"KUBE-NODE-PORT-LOCAL-{kind}"] == [element]
    first, second = chain(found, "nat", "KUBE-NODE-PORT")
    which = "" if protocol == "UDP" else r" with type \'hash ip:port\'"
    assert first.startswith(
        f'-p {protocol.lower()} {COMMENT} nodeport {protocol} port with externalTrafficPolicy=local{which}"'
    )
    assert first.endswith("-j RETURN")
    assert second.endswith("-j KUBE-MARK-MASQ")


def test_source_ranges_close_a_load_balancer_to_nodes_outside_of_them() -> None:
    found = made(web("LoadBalancer", "192.0.2.1", loadBalancerSourceRanges=["203.0.113.0/25"]))
    known = elements(found)
    assert known["KUBE-LOAD-BALANCER-FW"] == ["192.0.2.1,tcp:80"]
    assert known["KUBE-LOAD-BALANCER-SOURCE-CIDR"] == ["192.0.2.1,tcp:80,203.0.113.0/25"]
    assert "KUBE-LOAD-BALANCER-SOURCE-IP" not in known
    assert chain(found, "filter", "KUBE-IPVS-OUT-FILTER") == [
        "-s 192.0.2.1/32 -m ipvs --vproto 6 --vaddr 192.0.2.1 --vport 80 -j DROP"
    ]
    allowed, rest = chain(found, "filter", "KUBE-SOURCE-RANGES-FIREWALL")
    assert allowed.endswith("--match-set KUBE-LOAD-BALANCER-SOURCE-CIDR dst,dst,src -j RETURN")
    assert rest == "-j DROP"
    (rule,) = chain(found, "filter", "KUBE-PROXY-FIREWALL")
    assert rule.endswith("--match-set KUBE-LOAD-BALANCER-FW dst,dst -j KUBE-SOURCE-RANGES-FIREWALL")


def test_source_ranges_with_this_node_in_one_of_them() -> None:
    found = made(web("LoadBalancer", "192.0.2.1", loadBalancerSourceRanges=["172.18.1.2/32", "10.0.0.1/8"]))
    known = elements(found)
    assert known["KUBE-LOAD-BALANCER-SOURCE-CIDR"] == ["192.0.2.1,tcp:80,10.0.0.0/8", "192.0.2.1,tcp:80,172.18.1.2"]
    assert known["KUBE-LOAD-BALANCER-SOURCE-IP"] == ["192.0.2.1,tcp:80,192.0.2.1"]
    assert not chain(found, "filter", "KUBE-IPVS-OUT-FILTER")


def test_a_range_of_everything_is_no_restriction() -> None:
    found = made(web("LoadBalancer", "192.0.2.1", loadBalancerSourceRanges=["10.0.0.0/8", "0.0.0.0/0"]))
    assert "KUBE-LOAD-BALANCER-FW" not in elements(found)
    assert not chain(found, "filter", "KUBE-PROXY-FIREWALL")


def test_external_ips() -> None:
    matched = f'{COMMENT} service external ip + port for masquerade and filter purpose" '
    matched += "-m set --match-set KUBE-EXTERNAL-IP dst,dst"
    found = made(web(externalIPs=["198.51.100.3", "172.18.1.2"]), ends("10.244.1.5"))
    assert found.bound == ("10.96.0.20", "198.51.100.3"), "an address that the node has is not bound again"
    assert chain(found, "nat", "KUBE-SERVICES")[2:5] == [
        f"{matched} -j KUBE-MARK-MASQ",
        f"{matched} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT",
        f"{matched} -m addrtype --dst-type LOCAL -j ACCEPT",
    ]
    found = made(web("NodePort", externalIPs=["198.51.100.3"], externalTrafficPolicy="Local"), ends("10.244.1.5"))
    assert elements(found)["KUBE-EXTERNAL-IP-LOCAL"] == ["198.51.100.3,tcp:80"]
    assert "KUBE-EXTERNAL-IP" not in elements(found)
    assert not [t for t in chain(found, "nat", "KUBE-SERVICES") if "KUBE-EXTERNAL-IP " in t]


def test_what_masquerades_cluster_ips() -> None:
    for config, rule in (
        (ProxyConfig(masquerade_all=True, masquerade_bit=5), f"{CLUSTER_IPS} -j KUBE-MARK-MASQ"),
        (ProxyConfig(cluster_cidr=""), f"{CLUSTER_IPS.replace('dst,dst', 'src,dst')} -j KUBE-MARK-MASQ"),
    ):
        found = made(web(), config=config)
        assert chain(found, "nat", "KUBE-SERVICES")[1] == rule
        mark = f"{1 << config.masquerade_bit:#x}"
        assert chain(found, "nat", "KUBE-MARK-MASQ") == [f"-j MARK --set-xmark {mark}/{mark}"]
