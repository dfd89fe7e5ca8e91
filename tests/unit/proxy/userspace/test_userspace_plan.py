"""The rules that userspace mode writes, and what it asks the proxy process for."""

from typing import Any

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import View, seen
from labkit.proxy.userspace.messages import Claim, Wanted
from labkit.proxy.userspace.plan import plan, wanted
from labkit.proxy.userspace.rules import claims

NODE = view(
    {
        "metadata": {"name": "node-1"},
        "status": {"addresses": [{"type": "InternalIP", "address": ip} for ip in ("172.18.1.11", "fd00::11")]},
    },
    Node,
)
KEY = ("shop/web:http", "tcp")
FIRST = "handle ClusterIPs; NOTE: this must be before the NodePort rules"
LAST = "handle service NodePorts; NOTE: this must be the last rule in the chain"
PLACES = [
    ("PREROUTING", FIRST, "KUBE-PORTALS-CONTAINER"),
    ("PREROUTING", LAST, "KUBE-NODEPORT-CONTAINER"),
    ("OUTPUT", FIRST, "KUBE-PORTALS-HOST"),
    ("OUTPUT", LAST, "KUBE-NODEPORT-HOST"),
]


def service(protocol: str = "TCP", **spec: Any) -> Service:
    port = {"name": "http", "port": 80, "targetPort": 8080, "protocol": protocol, "nodePort": spec.pop("nodePort", 0)}
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in spec.pop("ingress", ())]}}
    whole = {"clusterIP": "10.96.0.20", "ports": [port], **spec}
    return view({"metadata": {"namespace": "shop", "name": "web"}, "spec": whole, "status": status}, Service)


def ends(*conditions: dict[str, Any], protocol: str = "TCP") -> EndpointSlice:
    meta = {"namespace": "shop", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}
    endpoints = [
        {"addresses": [f"10.244.1.{n}"], "conditions": each, "nodeName": "node-1"}
        for n, each in enumerate(conditions, 2)
    ]
    return view(
        {"metadata": meta, "endpoints": endpoints, "ports": [{"name": "http", "port": 8080, "protocol": protocol}]},
        EndpointSlice,
    )


def sees(one: Service, *slices: EndpointSlice) -> View:
    return seen([one], slices, NODE)


def rules(text: str) -> list[str]:
    """Of the mode's own chains, without the commands."""
    return [line.removeprefix("-A ") for line in text.splitlines() if line.startswith("-A KUBE")]


def test_every_address_of_a_service_leads_to_the_proxy() -> None:
    everything = service(
        type="LoadBalancer", nodePort=30080, externalIPs=["198.51.100.7"], ingress=["192.0.2.1"], sessionAffinity="None"
    )
    made = plan(sees(everything, ends({}, {})), {KEY: 41000})
    named = '-m comment --comment "shop/web:http"'
    redirect, dnat = "-j REDIRECT --to-ports 41000", "-j DNAT --to-destination 172.18.1.11:41000"
    local = "-m addrtype --dst-type LOCAL"
    at = f"-p tcp {named} -m tcp --dport"
    assert rules(str(made)) == [
        f"KUBE-NODEPORT-CONTAINER {at} 30080 {redirect}",
        f"KUBE-NODEPORT-HOST {at} 30080 {dnat}",
        f"KUBE-PORTALS-CONTAINER -d 10.96.0.20/32 {at} 80 {redirect}",
        f"KUBE-PORTALS-CONTAINER -d 198.51.100.7/32 {at} 80 -m physdev ! --physdev-is-in {redirect}",
        f"KUBE-PORTALS-CONTAINER -d 198.51.100.7/32 {at} 80 {local} {redirect}",
        f"KUBE-PORTALS-CONTAINER -d 192.0.2.1/32 {at} 80 {redirect}",
        f"KUBE-PORTALS-HOST -d 10.96.0.20/32 {at} 80 {dnat}",
        f"KUBE-PORTALS-HOST -d 198.51.100.7/32 {at} 80 {local} {dnat}",
        f"KUBE-PORTALS-HOST -d 192.0.2.1/32 {at} 80 {dnat}",
        f"KUBE-NODEPORT-NON-LOCAL {at} 41000 -m state --state NEW -j ACCEPT",
    ]
    assert {p.frontend.name: p.endpoints for p in made.portals} == {
        "shop/web:http": ("10.244.1.2:8080", "10.244.1.3:8080")
    }


def test_the_rules_that_exist_without_any_service() -> None:
    text = str(plan(seen([], [], NODE), {}))
    jumps = [line for line in text.splitlines() if line.startswith(("-A PREROUTING", "-A OUTPUT"))]
    for line, (hook, said, chain) in zip(jumps, PLACES, strict=True):
        local = "-m addrtype --dst-type LOCAL " if said == LAST else ""
        assert line == f'-A {hook} {local}-m comment --comment "{said}" -j {chain}'
    assert '-A INPUT -m comment --comment "Ensure that non-local NodePort traffic can flow" -j KUBE-NODEPORT' in text
    assert rules(text) == []


def test_ipv6() -> None:
    one = service(clusterIP="fd00:96::20")
    text = str(plan(seen([one], [], NODE, "IPv6"), {KEY: 41000}, config=ProxyConfig(family="IPv6")))
    assert "-d fd00:96::20/128 -p tcp" in text and "--to-destination [fd00::11]:41000" in text


def test_the_process_is_asked_for_ready_endpoints_alone() -> None:
    one = service(sessionAffinity="ClientIP", internalTrafficPolicy="Local")
    states = ({}, {"ready": False}, {"ready": False, "serving": True, "terminating": True}, {"ready": True})
    (port,) = sees(one, ends(*states)).ports.values()
    assert wanted(port) == Wanted("shop/web:http", "tcp", ("10.244.1.2:8080", "10.244.1.5:8080"), 10800)


def test_sctp_is_left_alone() -> None:
    view = sees(service("SCTP"), ends({}, protocol="SCTP"))
    assert [wanted(port) for port in view.ports.values()] == [None]
    assert rules(str(plan(view, {}))) == []


def test_what_another_program_has_gets_no_rules() -> None:
    view = sees(service(type="NodePort", nodePort=30080, externalIPs=["172.18.1.11", "198.51.100.7"]))
    needed = claims(view.ports[KEY].frontend, view.addresses)
    assert needed == (Claim("172.18.1.11", 80, "tcp"), Claim("", 30080, "tcp"))
    for claim, gone, left in zip(needed, ("-d 172.18.1.11/32", "30080"), ("30080", "-d 172.18.1.11/32"), strict=True):
        text = str(plan(view, {KEY: 41000}, {claim}))
        assert gone not in text and left in text and "-d 198.51.100.7/32" in text
