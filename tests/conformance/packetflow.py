"""kube-proxy's own packet-flow expectations (tests/data/packetflow_cases.json), read for the model and for the kernel.

Which suites a mode is held to, and why the others are left out of it, stands here: one line for each.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.packet import Packet
from labkit.net.rules import Family
from labkit.proxy.config import ProxyConfig, Winkernel
from labkit.proxy.mode import View, seen

CASES = json.loads((Path(__file__).parents[1] / "data" / "packetflow_cases.json").read_text())
NODE_ADDRESSES = frozenset(CASES["environment"]["node_addresses"])

# Mode -> the suites that it is not held to, each with its reason.
LEFT_OUT: Mapping[str, Mapping[str, str]] = {
    "iptables": {
        "np-nft-v4": "NodePorts answer on every local address",
        "np-nft-v6": "NodePorts answer on every local address",
    },
    "nftables": {
        "np-ipt-v4": "NodePorts answer on the primary address, and never on localhost",
        "np-ipt-v4-nolo": "NodePorts answer on the primary address",
        "np-ipt-v6": "NodePorts answer on the primary address",
        "np-ipt-v6-nolo": "NodePorts answer on the primary address",
        "healthcheck-nodeport": "no rule of this mode concerns health check ports",
        "overall": "a health check port is untouched; its rules are compared in test_nftables_plan.py",
    },
    "ebpf": {
        "np-nft-v4": "NodePorts answer on every address of the node and on 127.0.0.1",
        "np-nft-v6": "NodePorts answer on every address of the node and on ::1",
    },
    "ipvs": {
        "np-nft-v4": "NodePorts answer on every local address",
        "np-nft-v6": "NodePorts answer on every local address",
    },
    "userspace": {
        "np-nft-v4": "NodePorts answer on every local address",
        "np-nft-v6": "NodePorts answer on every local address",
    },
    "kernelspace": {
        "np-nft-v4": "its flows are those of np-ipt-v4",
        "np-nft-v6": "its flows are those of np-ipt-v6",
    },
}
# The mode whose expectations a mode shares, where the file names none for it.
LIKE: Mapping[str, str] = {
    "iptables": "iptables",
    "nftables": "nftables",
    "ebpf": "iptables",
    "ipvs": "iptables",
    "userspace": "iptables",
    "kernelspace": "iptables",
}
# Written down from the nftables tests; kube-proxy's iptables tests hold the same ones (the file's modes_note).
SAME_IN_ALL_MODES = ("itp-", "term-")


@dataclass(frozen=True)
class Case:
    """One flow of a suite, after `stage` of the suite's actions."""

    suite: dict[str, Any]
    flow: dict[str, Any]
    stage: int

    def __str__(self) -> str:
        return str(self.flow["id"])

    @property
    def family(self) -> Family:
        return "IPv6" if ":" in self.suite["services"][0]["clusterIP"] else "IPv4"

    @property
    def config(self) -> ProxyConfig:
        settings = self.suite["config"]
        return ProxyConfig(
            cluster_cidr="fd00:10::/64" if self.family == "IPv6" else "10.0.0.0/8",
            localhost_nodeports=settings.get("localhostNodePorts", True),
            nodeport_addresses=tuple(settings.get("nodePortAddresses") or ()),
            masquerade_all=settings.get("masqueradeAll", False),
            service_cidrs=(CASES["environment"]["service_cidr"]["v6" if self.family == "IPv6" else "v4"],),
            family=self.family,
            winkernel=Winkernel(enable_dsr=True),
        )

    @property
    def view(self) -> View:
        services = [service(s) for s in self.suite["services"]]
        slices = [endpoint_slice(s) for s in self.suite["endpointslices"]]
        for action in [step["action"] for step in self.suite.get("then", ())][: self.stage]:
            if action == "delete the EndpointSlice":
                slices = []
            elif action == "delete the Service":
                services = []
            else:
                raise ValueError(action)
        return seen(services, slices, NODE, self.family)

    @property
    def packet(self) -> Packet:
        flow = self.flow
        return Packet(flow["sourceIP"], flow["destIP"], flow["protocol"], 40000, flow["destPort"])

    @property
    def sticky(self) -> bool:
        """Whether a Service of the suite has session affinity."""
        return any(s.get("sessionAffinity") == "ClientIP" for s in self.suite["services"])

    @property
    def from_node(self) -> bool:
        source = self.flow["sourceIP"]
        return source in NODE_ADDRESSES or ip_address(source).is_loopback


def suites(mode: str) -> list[dict[str, Any]]:
    like = LIKE[mode]
    held = [s for s in CASES["suites"] if like in s["modes"] or s["id"].startswith(SAME_IN_ALL_MODES)]
    return [s for s in held if s["id"] not in LEFT_OUT[mode]]


def cases(mode: str) -> Iterator[Case]:
    """All that the mode is held to."""
    for suite in suites(mode):
        stages = [suite["flows"], *(step["flows"] for step in suite.get("then", ()))]
        for stage, flows in enumerate(stages):
            yield from (Case(suite, flow, stage) for flow in flows if LIKE[mode] in flow.get("modes", [LIKE[mode]]))


def service(case: dict[str, Any]) -> Service:
    names = {
        "clusterIP": "clusterIP",
        "type": "type",
        "externalIPs": "externalIPs",
        "loadBalancerSourceRanges": "loadBalancerSourceRanges",
        "externalTrafficPolicy": "externalTrafficPolicy",
        "internalTrafficPolicy": "internalTrafficPolicy",
        "healthCheckNodePort": "healthCheckNodePort",
        "sessionAffinity": "sessionAffinity",
        "ports": "ports",
    }
    spec: dict[str, Any] = {field: case[key] for key, field in names.items() if key in case}
    if "sessionAffinityTimeoutSeconds" in case:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": case["sessionAffinityTimeoutSeconds"]}}
    ingress = [{"ip": ip, "ipMode": case.get("ipMode")} for ip in case.get("lbIPs", ())]
    metadata = {"namespace": case["namespace"], "name": case["name"]}
    return view({"metadata": metadata, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}, Service)


def endpoint_slice(case: dict[str, Any]) -> EndpointSlice:
    version = 4
    ends = []
    for end in case["endpoints"]:
        version = ip_address(end["address"]).version
        conditions = {k: end[k] for k in ("ready", "serving", "terminating") if k in end}
        ends.append({"addresses": [end["address"]], "nodeName": end["node"] or "", "conditions": conditions})
    labels = {"kubernetes.io/service-name": case["service"]}
    return view(
        {
            "metadata": {"namespace": case["namespace"], "name": f"{case['service']}-1", "labels": labels},
            "addressType": f"IPv{version}",
            "endpoints": ends,
            "ports": case["ports"],
        },
        EndpointSlice,
    )


NODE = view(
    {
        "metadata": {"name": CASES["environment"]["local_node"]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": ip} for ip in CASES["environment"]["primary_node_ip"].values()
            ]
        },
    },
    Node,
)
