"""Where a mode treats packets otherwise than kube-proxy's own expectations say, flow by flow, with the reason.

The expectations were written for iptables and nftables.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from packetflow import NODE, Case

from labkit.net.packet import Packet, split_endpoint

Expected = dict[str, Any]
UNTOUCHED: Expected = {"verdict": "UNTOUCHED"}
DROP: Expected = {"verdict": "DROP"}
REFUSED: Expected = {"verdict": "REJECT"}


def expected(mode: str, case: Case) -> Expected:
    """What the mode does with the packet of the case."""
    wanted: Expected = dict(case.flow["expect"])
    match mode:
        case "ebpf":
            return _ebpf(case, wanted)
        case "ipvs":
            return next((table[str(case)] for table in IPVS.values() if str(case) in table), wanted)
        case "userspace":
            return _userspace(str(case), wanted)
        case "kernelspace":
            return _kernelspace(str(case), wanted)
    return wanted


def selected(mode: str, case: dict[str, Any], packet: Packet, wanted: Expected) -> Expected:
    """The same of a choice of endpoints (topology_cases.json), where a Local policy finds none here: in ipvs mode those
    for the cluster are used, if the Service has any traffic for those; in ebpf mode a pod's socket is refused at once.

    Not for userspace mode, which knows neither policies nor hints, and kernelspace, which knows no hints.
    """
    if wanted["verdict"] != "DROP":
        return wanted
    if mode == "ipvs":
        to = case["expect"]["cluster_endpoints"] or []
        return {"verdict": "DNAT" if to else "REJECT", "to": to}
    return {"verdict": "REJECT", "to": []} if mode == "ebpf" and packet.dport == 80 else wanted


def from_node(mode: str, case: Case) -> bool:
    """Whether the node itself sends the packet of the case: by its source, which has to be an address of its own.

    In ipvs mode the addresses of load balancers are, too.
    """
    return case.from_node or (mode == "ipvs" and str(case) in ("loadbalancer-12", "loadbalancer-13"))


def _userspace(flow: str, wanted: Expected) -> Expected:
    """The process accepts what it has no endpoint for, and closes it; whatever it sends on comes from the node."""
    for differences in USERSPACE.values():
        wanted = differences.get(flow, wanted)
    if wanted["verdict"] == "REJECT":
        return {"verdict": "ACCEPT"}
    return {**wanted, "masquerade": True} if wanted["verdict"] == "DNAT" else wanted


def _ebpf(case: Case, wanted: Expected) -> Expected:
    """A socket picks its endpoint before there is a source; from outside, an endpoint of this node sees the client."""
    for differences in EBPF.values():
        wanted = differences.get(str(case), wanted)
    if wanted["verdict"] != "DNAT":
        return wanted
    if case.from_node or ip_address(case.flow["sourceIP"]) in ip_network(case.config.cluster_cidr):
        return {**wanted, "masquerade": False}
    nodes = {e["address"]: e["node"] for s in case.suite["endpointslices"] for e in s["endpoints"]}
    remote = {nodes[split_endpoint(to)[0]] != NODE.name for to in wanted["to"]}
    return {**wanted, "masquerade": remote.pop() if len(remote) == 1 else None}


def _kernelspace(flow: str, wanted: Expected) -> Expected:
    """HNS is given no policy for what has no endpoint, and never one that drops."""
    for differences in KERNELSPACE.values():
        wanted = differences.get(flow, wanted)
    return UNTOUCHED if wanted["verdict"] in ("REJECT", "DROP") else wanted


def _to(*addresses: str, **more: Any) -> Expected:
    return {"verdict": "DNAT", "to": list(addresses), **more}


_ONE, _BOTH = _to("10.180.0.1:80"), _to("10.180.0.1:80", "10.180.2.1:80")
_V6 = _to("[fd00:10:180::1]:80", "[fd00:10:180::2:1]:80")
_THREE = _to(*(f"10.0.1.{n}:80" for n in (1, 2, 3)))
_READY = _to(*(f"10.0.1.{n}:80" for n in (1, 2, 5)))
_LAST = _to("10.0.1.5:80")


def _masq(service: int) -> Expected:
    return _to(f"10.180.0.{service}:80", f"10.180.1.{service}:80")


EBPF: Mapping[str, Mapping[str, Expected]] = {
    "it has no SCTP": {"clusterip-07": UNTOUCHED},
    "source ranges are for the outside": dict.fromkeys(["loadbalancer-08", "loadbalancer-09"], _ONE),
    "a packet from the load balancer's own address is one from outside": dict.fromkeys(
        ["loadbalancer-12", "loadbalancer-13"], DROP
    ),
    "NodePorts are open at the addresses of the Node object": dict.fromkeys(
        [f"np-ipt-{family}{kind}-05" for family in ("v4", "v6") for kind in ("", "-nolo")], UNTOUCHED
    ),
    "NodePorts are open on ::1 as on 127.0.0.1": {"np-ipt-v6-04": _V6},
    "the outside has no way to cluster IPs": dict.fromkeys([f"masq-base-{n}" for n in ("08", "18", "28")], DROP),
    "nothing stands in the way of a health check's port": dict.fromkeys(
        ["healthcheck-nodeport-01", "overall-06"], UNTOUCHED
    ),
}

IPVS: Mapping[str, Mapping[str, Expected]] = {
    "cluster IPs are addresses of the node, and it refuses what they have no port for": dict.fromkeys(
        ["clusterip-09", "clusterip-11"], REFUSED
    ),
    "NodePorts do not answer on loopback": dict.fromkeys(
        ["np-ipt-v4-04", "masq-base-06", "masq-base-16", "masq-base-26"], UNTOUCHED
    ),
    "with externalTrafficPolicy Local, pods and the node have this node's endpoints only": {
        **dict.fromkeys(["etp-local-02", "etp-local-04", "etp-local-06"], _to("10.180.2.1:80", masquerade=False)),
        **dict.fromkeys(["masq-base-12", "masq-base-13", "masq-base-17"], _to("10.180.0.2:80", masquerade=False)),
    },
    "where it has none, everybody is sent to the others, unmasqueraded": dict.fromkeys(
        ["overall-04", "overall-05"], _to("10.180.0.2:80", masquerade=False)
    ),
}

USERSPACE: Mapping[str, Mapping[str, Expected]] = {
    "it has no source ranges": dict.fromkeys([f"loadbalancer-0{n}" for n in (6, 7, 8, 9)], _ONE),
    "it does not know SCTP": {"clusterip-07": UNTOUCHED},
    "NodePorts are open at every address of the node, its loopback too": {
        "np-ipt-v4-nolo-04": _BOTH,
        "np-ipt-v6-04": _V6,
        "np-ipt-v6-nolo-04": _V6,
    },
    "it has no traffic policies": {
        **dict.fromkeys(["etp-local-03", "etp-local-05", "etp-local-07"], _BOTH),
        **dict.fromkeys(["itp-local-one-01", "itp-local-two-01"], _THREE),
        "term-local-ready-02": _READY,
        **dict.fromkeys(["masq-base-19", "masq-base-20"], _masq(2)),
        **dict.fromkeys(["masq-base-21", "masq-base-24", "masq-base-28"], _masq(3)),
        "overall-05": _to("10.180.0.2:80"),
    },
    "the node itself reaches an external IP only where it has that address": {"overall-04": UNTOUCHED},
    "it has no firewall for health check ports": {
        "healthcheck-nodeport-01": UNTOUCHED,
        "overall-06": UNTOUCHED,
    },
}

KERNELSPACE: Mapping[str, Mapping[str, Expected]] = {
    "it has no source ranges": dict.fromkeys([f"loadbalancer-0{n}" for n in (6, 7, 8, 9)], _ONE),
    "Kubernetes has no SCTP on Windows": {"clusterip-07": UNTOUCHED},
    "NodePorts are open at the management address alone": dict.fromkeys(
        [
            *(f"np-ipt-v4{kind}" for kind in ("-04", "-05", "-nolo-05")),
            *(f"np-ipt-v6{kind}" for kind in ("-05", "-nolo-05")),
            *(f"masq-base-{n}" for n in ("06", "16", "26")),
        ],
        UNTOUCHED,
    ),
    "with externalTrafficPolicy Local, pods and the node have this node's endpoints only": {
        **dict.fromkeys(["etp-local-02", "etp-local-04", "etp-local-06"], _to("10.180.2.1:80", masquerade=False)),
        **dict.fromkeys(["masq-base-12", "masq-base-13", "masq-base-17"], _to("10.180.0.2:80", masquerade=False)),
        "overall-04": UNTOUCHED,
    },
    "where none of the endpoints behind a load balancer serves, all of them are used": dict.fromkeys(
        [f"term-{policy}-none-0{n}" for policy in ("local", "cluster") for n in (1, 2)], _LAST
    ),
    "with DSR, a cluster IP keeps everybody's source": {
        **{f"masq-base-{n}": {**_masq(1), "masquerade": False} for n in ("04", "08")},
        **{f"masq-base-{n}": {**_masq(2), "masquerade": False} for n in ("14", "18")},
        **{f"masq-base-{n}": _to("10.180.0.3:80", masquerade=False) for n in ("24", "28")},
    },
    "it has no firewall for health check ports": {
        "healthcheck-nodeport-01": UNTOUCHED,
        "overall-06": UNTOUCHED,
    },
}
