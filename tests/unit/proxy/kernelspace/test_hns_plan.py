"""Load balancers of HNS: which a Service gets, over which endpoints, with which flags, and how Windows prints them."""

import json
from typing import Any

import msgspec
import pytest

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.proxy.config import DEFAULT, ProxyConfig, Winkernel
from labkit.proxy.kernelspace import text
from labkit.proxy.kernelspace.hns import Distribution, LoadBalancer
from labkit.proxy.kernelspace.plan import HnsPlan, plan
from labkit.proxy.kernelspace.vfp import ports
from labkit.proxy.mode import seen

NODE = view(
    {"metadata": {"name": "node-1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.1.11"}]}}, Node
)
VIP, INGRESS, EXTERNAL = "10.96.0.20", "192.0.2.1", "198.51.100.7"
NEAR, FAR, FARTHER = ALL = ("10.244.1.2", "10.244.2.2", "10.244.2.3")
READY: dict[str, dict[str, Any]] = {NEAR: {}, FAR: {}, FARTHER: {}}
DRAINING = {"ready": False, "serving": True, "terminating": True}
DEAD = {"ready": False, "serving": False, "terminating": True}
DSR = ProxyConfig(winkernel=Winkernel(enable_dsr=True))
EVERYTHING: dict[str, Any] = {
    "type": "LoadBalancer", "nodePort": 30080, "externalIPs": [EXTERNAL], "ingress": [INGRESS],
}  # fmt: skip


def service(protocol: str = "TCP", **spec: Any) -> Service:
    port = {"name": "http", "port": 80, "targetPort": 8080, "protocol": protocol, "nodePort": spec.pop("nodePort", 0)}
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in spec.pop("ingress", ())]}}
    whole = {"clusterIP": VIP, "ports": [port], **spec}
    return view({"metadata": {"namespace": "shop", "name": "web"}, "spec": whole, "status": status}, Service)


def planned(
    one: Service, ends: dict[str, dict[str, Any]], config: ProxyConfig = DEFAULT, protocol: str = "TCP"
) -> HnsPlan:
    meta = {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}
    endpoints = [
        {"addresses": [ip], "conditions": state, "nodeName": "node-2" if ip.startswith("10.244.2") else "node-1"}
        for ip, state in ends.items()
    ]
    port = {"name": "http", "port": 8080, "protocol": protocol}
    one_slice = view({"metadata": meta, "endpoints": endpoints, "ports": [port]}, EndpointSlice)
    return plan(seen([one], [one_slice], NODE), config)


def summary(made: HnsPlan) -> dict[str, tuple[int, tuple[str, ...], str]]:
    """VIP, or "node": port there, endpoints, flags."""
    return {lb.vip or "node": (lb.mapping.external_port, lb.ips, text.flags(lb)) for lb in made.load_balancers}


def test_a_load_balancer_for_each_address() -> None:
    assert summary(planned(service(**EVERYTHING), READY)) == {
        VIP: (80, ALL, ""),
        "node": (30080, ALL, "LocalRoutedVIP, VipExternalIP"),
        EXTERNAL: (80, ALL, "VipExternalIP"),
        INGRESS: (80, ALL, "VipExternalIP"),
    }


def test_external_traffic_that_stays_on_the_node_keeps_its_source() -> None:
    assert summary(planned(service(**EVERYTHING, externalTrafficPolicy="Local"), READY)) == {
        VIP: (80, ALL, ""),
        "node": (30080, (NEAR,), "DSR, LocalRoutedVIP, VipExternalIP"),
        EXTERNAL: (80, (NEAR,), "DSR, VipExternalIP"),
        INGRESS: (80, (NEAR,), "DSR, VipExternalIP"),
    }
    elsewhere = {ip: READY[ip] for ip in (FAR, FARTHER)}
    assert list(summary(planned(service(**EVERYTHING, externalTrafficPolicy="Local"), elsewhere))) == [VIP]


def test_dsr_is_for_cluster_ips_where_it_is_switched_on() -> None:
    found = summary(planned(service(type="NodePort", nodePort=30080), READY, DSR))
    assert found[VIP][2] == "DSR" and found["node"][2] == "LocalRoutedVIP, VipExternalIP"


def test_internal_traffic_that_stays_on_the_node() -> None:
    assert summary(planned(service(internalTrafficPolicy="Local"), READY)) == {VIP: (80, (NEAR,), "")}
    both = {"internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local", "type": "NodePort", "nodePort": 30080}
    made = planned(service(**both), READY)
    assert {e.ip for e in made.endpoints} == {NEAR}, "no stand-in for what no traffic can reach"


@pytest.mark.parametrize(
    ("balanced", "ends", "wanted"),
    [
        (False, {NEAR: {}, FAR: {"ready": False}, FARTHER: DRAINING}, {VIP: (NEAR,)}),
        (False, {NEAR: DRAINING}, {}),
        (False, {}, {}),
        (True, {NEAR: DRAINING, FAR: DEAD}, {VIP: (NEAR,), INGRESS: (NEAR,)}),
        (True, {NEAR: DRAINING, FAR: {}}, {VIP: (FAR,), INGRESS: (FAR,), "node": (FAR,)}),
        (True, {NEAR: DEAD}, {VIP: (NEAR,), INGRESS: (NEAR,)}),
    ],
)
def test_readiness(balanced: bool, ends: dict[str, dict[str, Any]], wanted: dict[str, tuple[str, ...]]) -> None:
    spec = {"type": "LoadBalancer", "nodePort": 30080, "ingress": [INGRESS]} if balanced else {}
    found = summary(planned(service(**spec), ends))
    assert {vip: ips for vip, (_, ips, _) in found.items()} == wanted


@pytest.mark.parametrize(("target", "internal"), [(8080, 8080), (9090, 9090), ("http", 8080)])
def test_one_port_for_all_endpoints(target: int | str, internal: int) -> None:
    named = service()
    port = msgspec.structs.replace(named.spec.ports[0], target_port=target)
    spec = msgspec.structs.replace(named.spec, ports=(port,))
    (lb,) = planned(msgspec.structs.replace(named, spec=spec), READY).load_balancers
    assert (lb.mapping.internal_port, lb.ips) == (internal, ALL)


def test_session_affinity_is_a_hash_of_the_source() -> None:
    made = planned(service(sessionAffinity="ClientIP"), READY)
    assert [lb.mapping.distribution for lb in made.load_balancers] == [Distribution.SOURCE_IP]
    assert "DistributionType=2" in text.policy_lists(made.load_balancers)


def test_neither_sctp_nor_pods_on_the_nodes_own_network() -> None:
    assert planned(service("SCTP"), READY, protocol="SCTP").load_balancers == ()
    assert summary(planned(service(), {"172.18.1.11": {}, FAR: {}}))[VIP][1] == (FAR,)


def test_endpoints_are_pods_here_and_stand_ins_for_others() -> None:
    made = planned(service(), READY)
    assert [(e.ip, e.mac, e.remote) for e in made.endpoints] == [
        (NEAR, "0a-58-0a-f4-01-02", False),
        (FAR, "02-11-0a-f4-02-02", True),
        (FARTHER, "02-11-0a-f4-02-03", True),
    ]
    (lb,) = made.load_balancers
    assert lb.endpoints == tuple(e.id for e in made.endpoints)
    assert made == planned(service(), dict(reversed(READY.items()))), "the ids are those of the next lab too"


def test_prints_as_windows_does() -> None:
    made = planned(service(type="NodePort", nodePort=30080), {NEAR: {}, FAR: {}}, DSR)
    near, far = (e.id for e in made.endpoints)
    assert text.endpoints(made.endpoints).splitlines()[2:] == [
        f"{near} 10.244.1.2      0a-58-0a-f4-01-02            False",
        f"{far} 10.244.2.2      02-11-0a-f4-02-02             True",
    ]
    cluster, node = (lb.id for lb in made.load_balancers)
    assert str(made) == (
        "ID                                   | Virtual IPs      | Direct IP IDs\n"
        f"{cluster} |  10.96.0.20      | {near} {far}\n"
        f"{node} |                  | {near} {far}\n"
    )
    first, second = text.policy_lists(made.load_balancers).split("\n\n")
    assert "Policies           : {@{ExternalPort=80; InternalPort=8080; IsDSR=True; Protocol=6; " in first
    assert f"References         : {{/endpoints/{near}, /endpoints/{far}}}" in first
    assert "LocalRoutedVIP=True" in second and "VIPs={}" in second
    decoder, details = json.JSONDecoder(), text.details(made.load_balancers)
    shown, end = decoder.raw_decode(details)
    assert shown == {
        "ID": cluster,
        "HostComputeEndpoints": [near, far],
        "FrontendVIPs": [VIP],
        "PortMappings": [{"Protocol": 6, "InternalPort": 8080, "ExternalPort": 80}],
        "SchemaVersion": {"Major": 2, "Minor": 0},
        "Flags": 1,
    }
    other, _ = decoder.raw_decode(details[end:].lstrip())
    assert other["PortMappings"][0]["Flags"] == 18 and "FrontendVIPs" not in other


def test_rules_of_the_switch() -> None:
    made = planned(service(), READY, DSR)
    (lb,) = made.load_balancers
    tag = lb.id[:5].upper()
    host, pod = ports(made)
    assert (host.kind, pod.kind, pod.address) == ("host", "pod", NEAR)
    assert [(r.layer, r.group, r.name) for r in pod.rules] == [
        ("LB_DSR", "LB_DSR_IPv4_OUT", f"LB_DSR_{tag}_172.18.1.11_10.96.0.20_80_8080_6"),
        ("SLB_NAT_LAYER", "SLB_GROUP_NAT_IPv4_IN", f"NAT_{tag}_10.96.0.20_80_6"),
        ("SLB_NAT_LAYER", "SLB_GROUP_NAT_IPv4_OUT", f"ALLOW_NAT_{tag}_10.96.0.20_80_6"),
    ]
    assert [(r.layer, r.name) for r in host.rules] == [
        ("LB", f"LB_HOST_{tag}_10.96.0.20_80_8080_6"),
        ("SLB_HAIRPIN_LAYER", f"HairPin_{tag}_10.96.0.20_80_80_6"),
    ]
    assert "LAYER : LB_DSR  GROUP : LB_DSR_IPv4_OUT" in str(pod)
    without = ports(planned(service(), {NEAR: {}}))
    layers = ["SLB_LB_LAYER", "SLB_HAIRPIN_LAYER"]
    assert [(p.kind, [r.layer for r in p.rules]) for p in without] == [("host", layers), ("pod", [])]


def test_a_load_balancer_is_a_plain_value() -> None:
    (lb,) = planned(service(), READY).load_balancers
    assert msgspec.json.decode(msgspec.json.encode(lb), type=LoadBalancer) == lb
