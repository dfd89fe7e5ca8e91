"""The table of nftables mode: what kube-proxy's own tests (TestOverallNFTablesRules of v1.34) expect, and the rest."""

from typing import Any

import pytest
from packetflow import CASES, Case

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.nft import Chain, Element, Table, Verdict
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import seen
from labkit.proxy.nftables.names import endpoint_base, port_base
from labkit.proxy.nftables.plan import plan

SUITES = {suite["id"]: suite for suite in CASES["suites"]}
MARK = "jump mark-for-masquerade"
NODE = view(
    {
        "metadata": {"name": "node-1"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": a} for a in ("172.18.1.2", "10.9.0.7", "fd00:18::2")]
        },
    },
    Node,
)

OVERALL = {
    "filter-prerouting-pre-dnat": ["ct state new jump firewall-check"],
    "filter-output-pre-dnat": ["ct state new jump firewall-check"],
    "filter-input": ["ct state new jump nodeport-endpoints-check", "ct state new jump service-endpoints-check"],
    "filter-forward": ["ct state new jump service-endpoints-check", "ct state new jump cluster-ips-check"],
    "filter-output": ["ct state new jump service-endpoints-check", "ct state new jump cluster-ips-check"],
    "nat-prerouting": ["jump services"],
    "nat-output": ["jump services"],
    "nat-postrouting": ["jump masquerading"],
    "nodeport-endpoints-check": ["ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports"],
    "service-endpoints-check": ["ip daddr . meta l4proto . th dport vmap @no-endpoint-services"],
    "firewall-check": ["ip daddr . meta l4proto . th dport vmap @firewall-ips"],
    "services": [
        "ip daddr . meta l4proto . th dport vmap @service-ips",
        "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports",
    ],
    "masquerading": [
        "meta mark & 0x00004000 == 0x00000000 return",
        "meta mark set meta mark ^ 0x00004000",
        "masquerade fully-random",
    ],
    "cluster-ips-check": [
        'ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"',
        'ip daddr 172.30.0.0/16 drop comment "Drop traffic to unallocated ClusterIPs"',
    ],
    "mark-for-masquerade": ["meta mark set meta mark | 0x00004000"],
    "reject-chain": ["reject"],
    "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80": [
        f"ip saddr 10.180.0.1 {MARK}",
        "meta l4proto tcp dnat to 10.180.0.1:80",
    ],
    "service-ULMVA6XW-ns1/svc1/tcp/p80": [
        f"ip daddr 172.30.0.41 ip saddr != 10.0.0.0/8 {MARK}",
        "numgen random mod 1 vmap { 0 : goto endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80 }",
    ],
    "endpoint-SGOXE6O3-ns2/svc2/tcp/p80__10.180.0.2/80": [
        f"ip saddr 10.180.0.2 {MARK}",
        "meta l4proto tcp dnat to 10.180.0.2:80",
    ],
    "service-42NFTM6N-ns2/svc2/tcp/p80": [
        f"ip daddr 172.30.0.42 ip saddr != 10.0.0.0/8 {MARK}",
        "numgen random mod 1 vmap { 0 : goto endpoint-SGOXE6O3-ns2/svc2/tcp/p80__10.180.0.2/80 }",
    ],
    "external-42NFTM6N-ns2/svc2/tcp/p80": [
        'ip saddr 10.0.0.0/8 goto service-42NFTM6N-ns2/svc2/tcp/p80 comment "short-circuit pod traffic"',
        f'fib saddr type local {MARK} comment "masquerade local traffic"',
        'fib saddr type local goto service-42NFTM6N-ns2/svc2/tcp/p80 comment "short-circuit local traffic"',
    ],
    "endpoint-UEIP74TE-ns3/svc3/tcp/p80__10.180.0.3/80": [
        f"ip saddr 10.180.0.3 {MARK}",
        "meta l4proto tcp dnat to 10.180.0.3:80",
    ],
    "service-4AT6LBPK-ns3/svc3/tcp/p80": [
        f"ip daddr 172.30.0.43 ip saddr != 10.0.0.0/8 {MARK}",
        "numgen random mod 1 vmap { 0 : goto endpoint-UEIP74TE-ns3/svc3/tcp/p80__10.180.0.3/80 }",
    ],
    "external-4AT6LBPK-ns3/svc3/tcp/p80": [MARK, "goto service-4AT6LBPK-ns3/svc3/tcp/p80"],
    "endpoint-UNZV3OEC-ns4/svc4/tcp/p80__10.180.0.4/80": [
        f"ip saddr 10.180.0.4 {MARK}",
        "meta l4proto tcp dnat to 10.180.0.4:80",
    ],
    "endpoint-5RFCDDV7-ns4/svc4/tcp/p80__10.180.0.5/80": [
        f"ip saddr 10.180.0.5 {MARK}",
        "meta l4proto tcp dnat to 10.180.0.5:80",
    ],
    "service-LAUZTJTB-ns4/svc4/tcp/p80": [
        f"ip daddr 172.30.0.44 ip saddr != 10.0.0.0/8 {MARK}",
        "numgen random mod 2 vmap { 0 : goto endpoint-UNZV3OEC-ns4/svc4/tcp/p80__10.180.0.4/80, "
        "1 : goto endpoint-5RFCDDV7-ns4/svc4/tcp/p80__10.180.0.5/80 }",
    ],
    "external-LAUZTJTB-ns4/svc4/tcp/p80": [MARK, "goto service-LAUZTJTB-ns4/svc4/tcp/p80"],
    "endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80": [
        f"ip saddr 10.180.0.3 {MARK}",
        "update @affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80 { ip saddr }",
        "meta l4proto tcp dnat to 10.180.0.3:80",
    ],
    "service-HVFWP5L3-ns5/svc5/tcp/p80": [
        f"ip daddr 172.30.0.45 ip saddr != 10.0.0.0/8 {MARK}",
        "ip saddr @affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80 "
        "goto endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80",
        "numgen random mod 1 vmap { 0 : goto endpoint-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80 }",
    ],
    "external-HVFWP5L3-ns5/svc5/tcp/p80": [MARK, "goto service-HVFWP5L3-ns5/svc5/tcp/p80"],
    "firewall-HVFWP5L3-ns5/svc5/tcp/p80": ["ip saddr != 203.0.113.0/25 drop"],
}
ELEMENTS = {
    "nodeport-ips": {"192.168.0.2": ""},
    "cluster-ips": {f"172.30.0.{n}": "" for n in (41, 42, 43, 44, 45, 46)},
    "service-ips": {
        "172.30.0.41 . tcp . 80": "goto service-ULMVA6XW-ns1/svc1/tcp/p80",
        "172.30.0.42 . tcp . 80": "goto service-42NFTM6N-ns2/svc2/tcp/p80",
        "192.168.99.22 . tcp . 80": "goto external-42NFTM6N-ns2/svc2/tcp/p80",
        "1.2.3.4 . tcp . 80": "goto external-42NFTM6N-ns2/svc2/tcp/p80",
        "172.30.0.43 . tcp . 80": "goto service-4AT6LBPK-ns3/svc3/tcp/p80",
        "172.30.0.44 . tcp . 80": "goto service-LAUZTJTB-ns4/svc4/tcp/p80",
        "192.168.99.33 . tcp . 80": "goto external-LAUZTJTB-ns4/svc4/tcp/p80",
        "172.30.0.45 . tcp . 80": "goto service-HVFWP5L3-ns5/svc5/tcp/p80",
        "5.6.7.8 . tcp . 80": "goto external-HVFWP5L3-ns5/svc5/tcp/p80",
    },
    "service-nodeports": {
        "tcp . 3001": "goto external-42NFTM6N-ns2/svc2/tcp/p80",
        "tcp . 3002": "goto external-HVFWP5L3-ns5/svc5/tcp/p80",
        "tcp . 3003": "goto external-4AT6LBPK-ns3/svc3/tcp/p80",
    },
    "no-endpoint-nodeports": {'tcp . 3001 comment "ns2/svc2:p80"': "drop"},
    "no-endpoint-services": {
        '1.2.3.4 . tcp . 80 comment "ns2/svc2:p80"': "drop",
        '192.168.99.22 . tcp . 80 comment "ns2/svc2:p80"': "drop",
        '172.30.0.46 . tcp . 80 comment "ns6/svc6:p80"': "goto reject-chain",
    },
    "firewall-ips": {"5.6.7.8 . tcp . 80": "goto firewall-HVFWP5L3-ns5/svc5/tcp/p80"},
}


def rules(table: Table) -> dict[str, list[str]]:
    return {chain.name: [str(rule) for rule in chain.rules] for chain in table.chains}


def chain(table: Table, prefix: str) -> list[str]:
    (found,) = (own for name, own in rules(table).items() if name.startswith(prefix) and "/" in name)
    return found


def elements(table: Table) -> dict[str, dict[str, str]]:
    def text(key: tuple[str, ...], element: Element) -> str:
        return " . ".join(key) + (f' comment "{element.comment}"' if element.comment else "")

    return {
        name: {text(key, one): str(one.verdict or "") for key, one in held.items()}
        for name, held in table.elements.items()
    }


def service(**spec: Any) -> Service:
    made = {"clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80, "nodePort": 30080}], **spec}
    ingress = [{"ip": ip} for ip in made.pop("ingress", ())]
    status = {"loadBalancer": {"ingress": ingress}}
    return view({"metadata": {"namespace": "shop", "name": "web"}, "spec": made, "status": status}, Service)


def ends(*addresses: str, **more: Any) -> EndpointSlice:
    return view(
        {
            "metadata": {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv6" if addresses and ":" in addresses[0] else "IPv4",
            "endpoints": [{"addresses": [a], **more} for a in addresses],
            "ports": [{"name": "http", "port": 8080}],
        },
        EndpointSlice,
    )


def test_services_of_every_kind_have_the_rules_of_the_real_one() -> None:
    case = Case(SUITES["overall"], SUITES["overall"]["flows"][0], 0)
    table = plan(case.view, case.config)
    assert rules(table) == OVERALL
    assert list(rules(table))[:16] == list(OVERALL)[:16], "the order in which kube-proxy makes them"
    assert elements(table) == ELEMENTS
    affinity = [(one.name, one.timeout) for one in table.sets[7:]]
    assert affinity == [("affinity-GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80", 10800)]


@pytest.mark.parametrize("case", CASES["chain_names"]["vectors"], ids=lambda c: c["name"])
def test_names(case: dict[str, str]) -> None:
    if case["mode"] != "nftables":
        return
    port, _, end = case["input"].partition("__")
    service, protocol, name = port.rsplit("/", 2)
    if end:
        ip, _, number = end.rpartition("/")
        address = f"[{ip.replace('.', ':')}]:{number}" if ".." in ip else f"{ip}:{number}"
        assert endpoint_base(f"{service}:{name}", protocol, address) == case["name"]
    else:
        assert port_base(f"{service}:{name}", protocol) == case["name"]


def test_a_port_without_a_name_and_a_name_that_is_too_long() -> None:
    assert port_base("ns/svc", "udp").endswith("-ns/svc/udp/")
    long = endpoint_base(f"{'n' * 63}/{'s' * 63}:{'p' * 63}", "sctp", f"[{'fd00:' * 7}fd00]:65535")
    assert (len(long), long[-3:]) == (240, "...")


def test_a_lone_source_range_and_many() -> None:
    kind = {"type": "LoadBalancer", "ingress": ["192.0.2.9"]}
    one = plan(seen([service(**kind, loadBalancerSourceRanges=["198.51.100.7/32"])], [ends("10.244.1.5")], NODE))
    assert chain(one, "firewall-") == ["ip saddr != 198.51.100.7 drop"]
    several = [" 198.51.100.0/25", "198.51.100.128/25", "172.18.1.9/24"]
    many = plan(seen([service(**kind, loadBalancerSourceRanges=several)], [ends("10.244.1.5")], NODE))
    # The node is within a range: what it sends to the load balancer's address may come back with that as source.
    assert chain(many, "firewall-") == ["ip saddr != { 172.18.1.0/24, 192.0.2.9, 198.51.100.0/24 } drop"]


@pytest.mark.parametrize("prefixes", [("0.0.0.0/0",), ("10.0.0.0/8", "0.0.0.0/0")])
def test_node_ports_at_every_address(prefixes: tuple[str, ...]) -> None:
    table = plan(seen([], [], NODE), ProxyConfig(nodeport_addresses=prefixes))
    assert rules(table)["services"][1] == (
        "fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports"
    )
    assert rules(table)["nodeport-endpoints-check"] == [
        "ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @no-endpoint-nodeports"
    ]
    assert "nodeport-ips" not in str(table)


@pytest.mark.parametrize(
    ("prefixes", "addresses"),
    [
        ((), ["172.18.1.2"]),
        (("10.9.0.0/16",), ["10.9.0.7"]),
        (("primary", "10.9.0.0/16"), ["172.18.1.2", "10.9.0.7"]),
        (("127.0.0.0/8",), None),
    ],
)
def test_node_ports_at_some_addresses(prefixes: tuple[str, ...], addresses: list[str] | None) -> None:
    table = plan(seen([], [], NODE), ProxyConfig(nodeport_addresses=prefixes))
    found = table.elements.get("nodeport-ips")
    assert (found and [key for (key,) in found]) == addresses
    assert "@nodeport-ips" in rules(table)["services"][1]


def test_settings() -> None:
    known = seen([service(type="NodePort")], [ends("10.244.1.5")], NODE)
    table = plan(known, ProxyConfig(masquerade_all=True, masquerade_bit=5))
    assert chain(table, "service-")[0] == f"ip daddr 10.96.0.20 {MARK}"
    assert rules(table)["mark-for-masquerade"] == ["meta mark set meta mark | 0x00000020"]
    assert len(rules(table)["cluster-ips-check"]) == 1, "no range of cluster IPs is known"
    two = plan(known, ProxyConfig(service_cidrs=("10.112.0.0/16", "10.96.0.0/16")))
    assert rules(two)["cluster-ips-check"][1].startswith("ip daddr { 10.96.0.0/16, 10.112.0.0/16 } drop")
    undetected = plan(known, ProxyConfig(cluster_cidr=""))
    assert [r[:6] for r in chain(undetected, "service-")] == ["numgen"]
    local = service(type="NodePort", externalTrafficPolicy="Local")
    assert chain(plan(seen([local], [ends("10.244.1.5")], NODE), ProxyConfig(cluster_cidr="")), "external-") == [
        f'fib saddr type local {MARK} comment "masquerade local traffic"',
        f'fib saddr type local goto service-{port_base("shop/web:http", "tcp")} comment "short-circuit local traffic"',
    ]


def test_ipv6() -> None:
    six = service(clusterIP="fd00:10:96::20", type="NodePort", sessionAffinity="ClientIP")
    config = ProxyConfig(cluster_cidr="fd00:10:244::/56", service_cidrs=("fd00:10:96::/112",), family="IPv6")
    table = plan(seen([six], [ends("fd00:10:244::5", nodeName="node-1")], NODE, "IPv6"), config)
    assert table.family == "ip6"
    assert chain(table, "service-")[0] == f"ip6 daddr fd00:10:96::20 ip6 saddr != fd00:10:244::/56 {MARK}"
    base = endpoint_base("shop/web:http", "tcp", "[fd00:10:244::5]:8080")
    assert rules(table)[f"endpoint-{base}"] == [
        f"ip6 saddr fd00:10:244::5 {MARK}",
        f"update @affinity-{base} {{ ip6 saddr }}",
        "meta l4proto tcp dnat to [fd00:10:244::5]:8080",
    ]
    assert rules(table)["services"][0] == "ip6 daddr . meta l4proto . th dport vmap @service-ips"
    assert list(table.elements["nodeport-ips"]) == [("fd00:18::2",)]
    assert list(table.elements["cluster-ips"]) == [("fd00:10:96::20",)]


def test_of_two_services_that_claim_an_address_the_first_has_it() -> None:
    def claiming(name: str, ip: str) -> Service:
        spec = {"clusterIP": ip, "externalIPs": ["192.0.2.1"], "ports": [{"port": 80}]}
        return view({"metadata": {"namespace": "ns", "name": name}, "spec": spec}, Service)

    table = plan(seen([claiming("b", "10.96.0.2"), claiming("a", "10.96.0.1")], [], NODE))
    held = table.elements["no-endpoint-services"]["192.0.2.1", "tcp", "80"]
    assert held == Element(Verdict("goto", "reject-chain"), "ns/a")


def test_prints_as_nft_lists_it() -> None:
    table = plan(seen([], [], NODE), ProxyConfig())
    text = str(table)
    assert text.startswith('table ip kube-proxy {\n\tcomment "rules for kube-proxy"\n\tset cluster-ips {\n')
    assert "\tchain filter-prerouting-pre-dnat {\n\t\ttype filter hook prerouting priority dstnat - 10; policy" in text
    hook = "type nat hook output priority -100; policy accept;"
    assert f"\tchain nat-output {{\n\t\t{hook}\n\t\tjump services\n\t}}" in text
    said = 'comment "helper for @no-endpoint-services / @no-endpoint-nodeports"'
    assert text.endswith(f"\tchain reject-chain {{\n\t\t{said}\n\t\treject\n\t}}\n}}\n")
    assert str(Table("ip6", "empty", chains=(Chain("c"),))) == "table ip6 empty {\n\tchain c {\n\t}\n}\n"
