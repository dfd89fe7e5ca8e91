"""Services and endpoints in few words, and the same in IPv6."""

import json
import re
from typing import Any, TypeVar

import msgspec

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.rules import Family
from labkit.proxy.mode import View, seen

T = TypeVar("T", Service, EndpointSlice, Node)

NODE = view(
    {
        "metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "a"}},
        "status": {"addresses": [{"type": "InternalIP", "address": "172.18.1.11"}]},
    },
    Node,
)


def service(name: str, number: int, **spec: Any) -> Service:
    """`number`: last byte of its cluster IP."""
    ports = spec.pop("ports", [{"name": "http", "port": 80}])
    annotations = spec.pop("annotations", {})
    ingress = [{"ip": ip} for ip in spec.pop("ingress", ())]
    spec = {"clusterIP": f"10.96.0.{number}", "ports": ports, **spec}
    metadata = {"namespace": "shop", "name": name, "annotations": annotations}
    return view({"metadata": metadata, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}, Service)


def endpoints(name: str, *ends: tuple[str, str], port: int = 8080, **conditions: bool) -> EndpointSlice:
    """`ends`: address and node of each."""
    return view(
        {
            "metadata": {
                "namespace": "shop",
                "name": f"{name}-1",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ip], "nodeName": node, "conditions": conditions} for ip, node in ends],
            "ports": [{"name": "http", "port": port}],
        },
        EndpointSlice,
    )


def on_node(services: list[Service], slices: list[EndpointSlice], family: Family = "IPv4") -> View:
    """What the node sees of IPv4 objects, or of their twins."""
    if family == "IPv4":
        return seen(services, slices, NODE)
    return seen(map(twin, services), map(twin, slices), twin(NODE), family)


def six(text: str) -> str:
    """A text with IPv6 addresses in the place of IPv4 ones: 10.96.0.3 is fd00::10:96:0:3, and its /24 a /112."""
    text = re.sub(r"\b(\d+)\.(\d+)\.(\d+)\.(\d+)\b", r"fd00::\1:\2:\3:\4", text)
    return re.sub(r"(fd00::[0-9:]+)/24", r"\1/112", text)


def twin(one: T) -> T:
    """The same object in IPv6."""
    raw = json.loads(six(msgspec.json.encode(one).decode()))
    return msgspec.convert(raw | ({"addressType": "IPv6"} if isinstance(one, EndpointSlice) else {}), type(one))


HERE, THERE = ("10.244.1.5", "node-1"), ("10.244.2.7", "node-2")
EVERY_KIND = [
    service("plain", 1),
    service("sticky", 2, type="NodePort", sessionAffinity="ClientIP",
            ports=[{"name": "http", "port": 80, "nodePort": 30002}]),
    service("local", 3, type="LoadBalancer", externalTrafficPolicy="Local", ingress=["192.0.2.3"],
            ports=[{"name": "http", "port": 80, "nodePort": 30003}], loadBalancerSourceRanges=["203.0.113.0/24"]),
    service("inside", 4, internalTrafficPolicy="Local", externalIPs=["192.0.2.4"]),
    service("nobody", 5),
]  # fmt: skip
THEIR_ENDS = [endpoints(name, HERE, THERE) for name in ("plain", "sticky", "local")] + [endpoints("inside", THERE)]
