"""kube-proxy's choice of endpoints (tests/data/topology_cases.json) as what packets do, for model and kernel."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit.net.packet import Packet
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port

# topo-27 has the feature gate PreferSameTrafficDistribution off; v1.34 has it on (beta).
SELECTIONS: list[dict[str, Any]] = [
    case
    for case in json.loads((Path(__file__).parents[1] / "data" / "topology_cases.json").read_text())["selection_cases"]
    if case.get("feature_same_node", True)
]
NODE_ADDRESS = "192.168.0.2"


def selection_packets(case: dict[str, Any]) -> Iterator[tuple[Packet, dict[str, Any]]]:
    """A pod's packet to the cluster IP; where the Service can be reached from outside, a client's to its NodePort."""
    policy = case["service"]
    inside = Packet("10.244.1.5", "10.96.0.20", "TCP", 40000, 80)
    yield inside, _expected(case, policy["internalTrafficPolicy"])
    if policy["externally_reachable"]:
        outside = Packet("203.0.113.2", NODE_ADDRESS, "TCP", 40000, 30080)
        yield outside, _expected(case, policy["externalTrafficPolicy"])


def _expected(case: dict[str, Any], policy: str) -> dict[str, Any]:
    to = case["expect"]["local_endpoints" if policy == "Local" else "cluster_endpoints"] or []
    return {"verdict": "DNAT" if to else "DROP" if case["expect"]["has_any_endpoints"] else "REJECT", "to": to}


def selection_view(case: dict[str, Any]) -> View:
    policy, labels = case["service"], case["node"].get("labels", {})
    node = case["node"].get("name", labels.get("kubernetes.io/hostname", "")) or "this-node"
    frontend = Frontend(
        name="ns/svc",
        protocol="tcp",
        cluster_ip="10.96.0.20",
        port=80,
        node_port=30080 if policy["externally_reachable"] else 0,
        internal_local=policy["internalTrafficPolicy"] == "Local",
        external_local=policy["externalTrafficPolicy"] == "Local",
    )
    ends = tuple(
        Backend(
            address=e["address"],
            ip=e["address"].split(":")[0],
            node=node if e["local"] else "elsewhere",
            ready=e["ready"],
            serving=e["serving"],
            terminating=e["terminating"],
            zone_hints=tuple(e.get("zone_hints") or ()),
            node_hints=tuple(e.get("node_hints") or ()),
        )
        for e in case["endpoints"]
    )
    ports = {frontend.key: Port(frontend, ends)}
    return View(ports, [*ports], len(ends), node, labels.get("topology.kubernetes.io/zone", ""), (NODE_ADDRESS,))
