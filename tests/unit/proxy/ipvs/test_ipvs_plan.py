"""Virtual servers and sets: what `ipvsadm-save -n` and `ipset save` show on a v1.34 node in ipvs mode."""

import pytest
from ipvs_objects import CLUSTER_IPS, COMMENT, NODE, chain, elements, ends, made, saved, web

from labkit.api.objects import EndpointSlice, Service, view
from labkit.net.ipvs import VirtualServer
from labkit.proxy.config import IpvsConfig, ProxyConfig
from labkit.proxy.ipvs import sets
from labkit.proxy.ipvs.plan import plan
from labkit.proxy.mode import seen


def test_cluster_ip() -> None:
    found = made(web(), ends("10.244.2.7", nodeName="node-2"), ends("10.244.1.5", nodeName="node-1"))
    assert saved(found) == ["-A -t 10.96.0.20:80 -s rr", "-a -t 10.96.0.20:80 -r 10.244.1.5:8080 -m -w 1"]
    found = made(web(), ends("10.244.2.7", "10.244.1.5", nodeName="node-1"))
    assert saved(found) == [
        "-A -t 10.96.0.20:80 -s rr",
        "-a -t 10.96.0.20:80 -r 10.244.1.5:8080 -m -w 1",
        "-a -t 10.96.0.20:80 -r 10.244.2.7:8080 -m -w 1",
    ]
    assert found.bound == ("10.96.0.20",)
    assert elements(found) == {
        "KUBE-CLUSTER-IP": ["10.96.0.20,tcp:80"],
        "KUBE-IPVS-IPS": ["10.96.0.20"],
        "KUBE-LOOP-BACK": ["10.244.1.5,tcp:8080,10.244.1.5", "10.244.2.7,tcp:8080,10.244.2.7"],
    }
    assert chain(found, "nat", "KUBE-SERVICES") == [
        "-s 127.0.0.0/8 -j RETURN",
        f"! -s 10.244.0.0/16 {CLUSTER_IPS} -j KUBE-MARK-MASQ",
        "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
        "-m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT",
    ]
    assert chain(found, "nat", "KUBE-POSTROUTING") == [
        f'{COMMENT} endpoints dst ip:port, source ip for solving hairpin purpose" '
        "-m set --match-set KUBE-LOOP-BACK dst,dst,src -j MASQUERADE",
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --set-xmark 0x4000/0x0",
        '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ]


def test_node_ports_answer_on_every_address_but_loopback() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    local = ("172.18.1.2", "10.244.1.1", "127.0.0.1")
    found = made(web("NodePort", ports=ports), ends("10.244.1.5"), local=local)
    assert [s.name for s in found.servers] == ["-t 10.244.1.1:30080", "-t 10.96.0.20:80", "-t 172.18.1.2:30080"]
    assert elements(found)["KUBE-NODE-PORT-TCP"] == ["30080"]
    assert chain(found, "nat", "KUBE-NODE-PORT") == [
        f'-p tcp {COMMENT} nodeport TCP port for masquerade purpose" -m set --match-set KUBE-NODE-PORT-TCP dst '
        "-j KUBE-MARK-MASQ"
    ]
    only = ProxyConfig(nodeport_addresses=("172.18.0.0/16",))
    found = made(web("NodePort", ports=ports), ends("10.244.1.5"), local=local, config=only)
    assert [s.name for s in found.servers] == ["-t 10.96.0.20:80", "-t 172.18.1.2:30080"]
    none = ProxyConfig(nodeport_addresses=("192.0.2.0/24",))
    found = made(web("NodePort", ports=ports), ends("10.244.1.5"), local=local, config=none)
    assert [s.name for s in found.servers] == ["-t 10.96.0.20:80"]
    assert "KUBE-NODE-PORT-TCP" not in elements(found)


def test_local_policy_uses_other_nodes_where_this_one_has_no_endpoint() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080}]
    service = web("LoadBalancer", "192.0.2.1", ports=ports, externalTrafficPolicy="Local", healthCheckNodePort=30905)
    found = made(service, ends("10.244.2.7", nodeName="node-2"))
    assert {s.name: [r.address for r in s.servers] for s in found.servers} == {
        "-t 10.96.0.20:80": ["10.244.2.7:8080"],
        "-t 172.18.1.2:30080": ["10.244.2.7:8080"],
        "-t 192.0.2.1:80": ["10.244.2.7:8080"],
    }
    both = (ends("10.244.2.7", nodeName="node-2"), ends("10.244.1.5", nodeName="node-1"))
    two = view({"metadata": {"namespace": "shop", "name": "web-2", "labels": {"kubernetes.io/service-name": "web"}},
                "endpoints": [{"addresses": ["10.244.1.5"], "nodeName": "node-1"}],
                "ports": [{"name": "http", "port": 8080}]}, EndpointSlice)  # fmt: skip
    found = made(service, both[0], two)
    assert {s.name: [r.address for r in s.servers] for s in found.servers} == {
        "-t 10.96.0.20:80": ["10.244.1.5:8080", "10.244.2.7:8080"],
        "-t 172.18.1.2:30080": ["10.244.1.5:8080"],
        "-t 192.0.2.1:80": ["10.244.1.5:8080"],
    }
    known = elements(found)
    assert known["KUBE-LOAD-BALANCER-LOCAL"] == known["KUBE-LOAD-BALANCER"] == ["192.0.2.1,tcp:80"]
    assert known["KUBE-NODE-PORT-LOCAL-TCP"] == ["30080"]
    assert known["KUBE-HEALTH-CHECK-NODE-PORT"] == ["30905"]
    assert known["KUBE-LOOP-BACK"] == ["10.244.1.5,tcp:8080,10.244.1.5"]


def test_an_internal_local_policy_has_no_one_else() -> None:
    found = made(web(internalTrafficPolicy="Local"), ends("10.244.2.7", nodeName="node-2"))
    assert saved(found) == ["-A -t 10.96.0.20:80 -s rr"]


def test_affinity_and_schedulers() -> None:
    sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    assert saved(made(web(**sticky))) == ["-A -t 10.96.0.20:80 -s rr -p 60"]
    for scheduler, line in (("wlc", "-s wlc"), ("mh", "-s mh -b mh-port")):
        config = ProxyConfig(ipvs=IpvsConfig(scheduler=scheduler))
        assert saved(made(web(), config=config)) == [f"-A -t 10.96.0.20:80 {line}"]


@pytest.mark.parametrize(
    ("annotation", "weights"),
    [
        ("", (1, 1)),
        ("3", (3, 3)),
        ("10.244.1.5=4", (4, 1)),
        ("10.244.1.5=0, 2", (0, 2)),
        ("10.244.1.5=-1,10.244.2.7=many,=,x,10.244.2.7=65536", (1, 1)),
    ],
)
def test_weights_of_the_lab_s_own_annotation(annotation: str, weights: tuple[int, int]) -> None:
    found = made(web(), ends("10.244.1.5", "10.244.2.7", annotations={"labkit.dev/ipvs-weight": annotation}))
    (server,) = found.servers
    assert tuple(s.weight for s in server.servers) == weights


def test_ipv6() -> None:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "SCTP"}]
    service = web("NodePort", clusterIP="fd00:96::1", ports=ports, externalTrafficPolicy="Local")
    config = ProxyConfig(family="IPv6", cluster_cidr="fd00:10::/64")
    found = made(service, config=config, local=("fd00::2",))
    assert saved(found) == ["-A --sctp-service [fd00:96::1]:80 -s rr", "-A --sctp-service [fd00::2]:30080 -s rr"]
    assert elements(found) == {
        "KUBE-6-CLUSTER-IP": ["fd00:96::1,sctp:80"],
        "KUBE-6-IPVS-IPS": ["fd00:96::1"],
        "KUBE-6-NODE-PORT-SCTP-HASH": ["fd00::2,sctp:30080"],
        "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS": ["fd00::2,sctp:30080"],
    }
    assert chain(found, "nat", "KUBE-SERVICES")[:2] == [
        "-s ::1/128 -j RETURN",
        f"! -s fd00:10::/64 {CLUSTER_IPS.replace('KUBE-', 'KUBE-6-')} -j KUBE-MARK-MASQ",
    ]
    assert chain(found, "filter", "KUBE-IPVS-FILTER")[-1].endswith("-j REJECT --reject-with icmp6-port-unreachable")
    assert all(len(sets.name(base, "IPv6")) <= 31 for base in sets.NAMES)


def test_two_services_with_one_address_share_it_by_name() -> None:
    """No admission forbids an external IP twice: the first by name has the port, the other's entries stay harmless."""
    other = view(
        {
            "metadata": {"namespace": "shop", "name": "api"},
            "spec": {
                "clusterIP": "10.96.0.21",
                "externalIPs": ["198.51.100.3"],
                "ports": [{"name": "http", "port": 80}],
            },
        },
        Service,
    )
    found = plan(seen([web(externalIPs=["198.51.100.3"]), other], [ends("10.244.1.5")], NODE))
    assert found.server(("tcp", "198.51.100.3", 80)) == VirtualServer("198.51.100.3", 80, "tcp")
    assert found.server(("tcp", "198.51.100.9", 80)) is None


def test_order_of_the_objects_plays_no_part_and_the_text_has_all() -> None:
    services, slices = [web()], [ends("10.244.1.5"), ends("10.244.1.5", "10.244.2.7")]
    found = plan(seen(services, slices[1:], NODE))
    assert found == plan(seen(services[::-1], slices[1:], NODE))
    text = str(found)
    for part in ("-A -t 10.96.0.20:80 -s rr\n", "add KUBE-IPVS-IPS 10.96.0.20\n", "*filter\n", "-A KUBE-SERVICES -s"):
        assert part in text
