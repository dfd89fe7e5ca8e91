"""Load balancers as Services and nodes ask for them, and what the router and the proxies make of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import LabError
from labkit.services.cloud import forwarding, fronts, pool
from labkit.services.cloud.balancer import Listener, described, eligible, plan

from .conftest import new_node, new_service

STATUS = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}
NETWORK = "198.51.100.0/24"


def test_which_nodes_may_take_part(node):
    nodes = [
        node(2),
        node(1, conditions=[]),
        node(3, labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""}),
        node(4, taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]),
        node(5, taints=[{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}], unschedulable=True),
    ]
    assert eligible(nodes) == {
        "node-1": ("172.18.1.11",), "node-2": ("172.18.1.12",), "node-5": ("172.18.1.15",),
    }  # fmt: skip


def test_only_services_with_an_address_of_this_cloud_have_a_balancer(service, node):
    services = [
        service("with", STATUS),
        service("pending"),
        service("other", STATUS, loadBalancerClass="example.com/other"),
        service("nodeport", STATUS, type="NodePort"),
        service("odd", STATUS, annotations={"ip-mode": "odd"}),
        service("foreign", {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example.com"}]}}),
    ]
    assert set(plan(services, [node(1)], [NETWORK])) == {"default/with"}


def test_what_a_balancer_is(service):
    ports = [
        {"port": 80, "nodePort": 30080, "protocol": "TCP"},
        {"port": 53, "nodePort": 30053, "protocol": "UDP", "name": "dns"},
    ]
    wanted = service(ports=ports, loadBalancerSourceRanges=[" 203.0.113.7/24"])
    made = described(wanted, ("198.51.100.1",), {"node-1": ("172.18.1.11",)})
    assert made.listeners == (Listener("TCP", 80, 30080), Listener("UDP", 53, 30053))
    assert made.ranges == ("203.0.113.0/24",)
    assert made.check_port == 10256
    local = service(ports=ports, externalTrafficPolicy="Local", healthCheckNodePort=30999)
    assert described(local, (), {}).check_port == 30999
    assert described(service(ports=ports, annotations={"healthcheck-protocol": "TCP"}), (), {}).check_port == 30080
    assert described(service(annotations={"healthcheck-protocol": "TCP"}), (), {}).check_port == 0


@pytest.mark.parametrize(
    ("port", "why"),
    [
        ({"port": 80}, "port 80 has no node port, and a load balancer in ipMode Proxy needs one"),
        ({"port": 7, "protocol": "SCTP", "nodePort": 30007}, "port 7 is SCTP, which a load balancer in ipMode Proxy"),
    ],
)
def test_what_a_proxy_cannot_do(service, port, why):
    with pytest.raises(LabError, match=why):
        described(service(ports=[port], annotations={"ip-mode": "Proxy"}), (), {})


def balancers(*services):
    from labkit.api.objects import Node, Service, view

    nodes = [view(new_node(number), Node) for number in (1, 2)]
    return plan([view(raw, Service) for raw in services], nodes, [NETWORK, "2001:db8:198::/120"]).values()


def test_ways_lead_to_healthy_nodes_only():
    made = balancers(
        new_service("a", STATUS),
        new_service("b", {"loadBalancer": {"ingress": [{"ip": "198.51.100.2"}]}}),
        new_service(
            "c",
            {"loadBalancer": {"ingress": [{"ip": "198.51.100.3"}]}},
            {"ip-mode": "Proxy"},
            ports=[{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
        ),
    )
    healthy = {"default/a": frozenset({"node-2", "gone"}), "default/c": frozenset({"node-1"})}
    assert forwarding.ways(made, healthy) == {
        "198.51.100.1": forwarding.Way(("node-2",)),
        "198.51.100.2": forwarding.Way(),
        "198.51.100.3": forwarding.Way(proxied=True),
    }
    assert fronts.plan(made, healthy) == (fronts.Front("TCP", "198.51.100.3", 80, (("172.18.1.11", 30080),)),)


def test_what_the_router_lets_pass():
    made = balancers(
        new_service("a", STATUS, loadBalancerSourceRanges=["203.0.113.0/24", "2001:db8::/32"]),
        new_service("b", {"loadBalancer": {"ingress": [{"ip": "198.51.100.2"}]}}),
    )
    chain = forwarding.rules(made, NETWORK).chain("filter", forwarding.CHAIN)
    assert [rule.text for rule in chain.rules] == [
        '-s 203.0.113.0/24 -d 198.51.100.1/32 -p tcp -m tcp --dport 80 -m comment --comment "default/a" -j ACCEPT',
        '-d 198.51.100.1/32 -p tcp -m tcp --dport 80 -m comment --comment "default/a" -j DROP',
        '-d 198.51.100.2/32 -p tcp -m tcp --dport 80 -m comment --comment "default/b" -j ACCEPT',
        "-j REJECT --reject-with icmp-port-unreachable",
    ]


def test_each_family_by_itself():
    both = {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}, {"ip": "2001:db8:198::1"}]}}
    ranged = new_service("a", both, loadBalancerSourceRanges=["203.0.113.0/24", "2001:db8::/32"])
    (made,) = balancers(ranged)
    nodes = {"node-1": ("172.18.1.11", "fd00::11"), "node-2": ("172.18.1.12",)}
    made = msgspec.structs.replace(made, nodes=nodes)
    everyone = {"default/a": frozenset(nodes)}
    assert forwarding.ways([made], everyone) == {
        "198.51.100.1": forwarding.Way(("node-1", "node-2")),
        "2001:db8:198::1": forwarding.Way(("node-1",)),
    }
    six = forwarding.rules([made], "2001:db8:198::/120")
    assert six.family == "IPv6"
    assert [rule.text for rule in six.chain("filter", forwarding.CHAIN).rules] == [
        '-s 2001:db8::/32 -d 2001:db8:198::1/128 -p tcp -m tcp --dport 80 -m comment --comment "default/a" -j ACCEPT',
        '-d 2001:db8:198::1/128 -p tcp -m tcp --dport 80 -m comment --comment "default/a" -j DROP',
        "-j REJECT --reject-with icmp6-port-unreachable",
    ]
    proxied = msgspec.structs.replace(made, mode="Proxy", listeners=(Listener("TCP", 80, 30080),))
    assert [(front.address, front.backends) for front in fronts.plan([proxied], everyone)] == [
        ("198.51.100.1", (("172.18.1.11", 30080), ("172.18.1.12", 30080))),
        ("2001:db8:198::1", (("fd00::11", 30080),)),
    ]


@given(st.sets(st.integers(1, 6)))
def test_the_lowest_free_address_of_the_pool(taken):
    used = {f"198.51.100.{number}" for number in taken}
    free = sorted(set(range(1, 7)) - taken)
    if free:
        assert pool.choose("198.51.100.0/29", used) == f"198.51.100.{free[0]}"
    else:
        with pytest.raises(LabError, match=r"no address is free in 198\.51\.100\.0/29: 6 load balancers have one"):
            pool.choose("198.51.100.0/29", used)


@pytest.mark.parametrize("asked", ["198.51.100.0", "198.51.100.255", "10.0.0.1", "nonsense", "::1"])
def test_an_address_that_the_cloud_does_not_have(asked):
    with pytest.raises(LabError, match="which is what this cloud has"):
        pool.choose(NETWORK, (), asked)


def test_an_address_that_is_asked_for():
    assert pool.choose(NETWORK, {"198.51.100.1"}, "198.51.100.9") == "198.51.100.9"
    with pytest.raises(LabError, match="belongs to another load balancer"):
        pool.choose(NETWORK, {"198.51.100.1"}, "198.51.100.1")
