"""The best of the nodes that can take a pod.

Wishes decide first (the real plugins' scores and weights), then an even spread. Deterministic, unlike the real
scheduler, which draws among equal scores.
Source: pkg/scheduler/framework/plugins, apis/config/v1/default_plugins.go (weights) of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.workloads.scheduling import node_affinity, spread, taints
from labkit.workloads.scheduling.pod_affinity import NamespaceLabels, Nodes, PodAffinity

Raw = dict[str, Any]

ZONE = "topology.kubernetes.io/zone"
TAINTS, AFFINITY, SPREAD, POD_AFFINITY = 3, 2, 2, 2
"""What each plugin's score counts."""


def best(zones: Mapping[str, str], owned: Mapping[str, int], load: Mapping[str, int], wish: Mapping[str, float]) -> str:
    """The name of the node of the first rank: highest wish, then fewest pods of the same owner, also in its zone, then
    fewest of all, then by name.

    zones: the nodes' zones by name; owned, load: pods on each node: those of the same owner, and all.
    """

    def per_zone(pods: Mapping[str, int]) -> Counter[str]:
        found: Counter[str] = Counter()
        for name, zone in zones.items():
            found[zone] += pods.get(name, 0)
        return found

    owned_in_zone, load_in_zone = per_zone(owned), per_zone(load)

    def rank(name: str) -> tuple[float, int, int, int, int, str]:
        zone, mine, everyone = zones[name], owned.get(name, 0), load.get(name, 0)
        return -wish.get(name, 0.0), mine, owned_in_zone[zone], everyone, load_in_zone[zone], name

    return min(zones, key=rank)


def wishes(pod: Raw, nodes: Nodes, fitting: Sequence[str], namespace_labels: NamespaceLabels) -> dict[str, float]:
    """How much the pod would like each of the fitting nodes; nothing where it has no wishes."""
    tolerations = pod["spec"].get("tolerations", ())
    disliked = {name: float(taints.intolerable(nodes[name].raw, tolerations)) for name in fitting}
    plain = not pod["spec"].get("affinity") and not pod["spec"].get("topologySpreadConstraints")
    if plain and not any(disliked.values()) and not any(state.affine for state in nodes.values()):
        return {}
    liked = {name: float(node_affinity.preference(pod["spec"], nodes[name].raw)) for name in fitting}
    scores = (
        (TAINTS, {name: 100 - value for name, value in _share(disliked).items()}),
        (AFFINITY, _share(liked)),
        (SPREAD, spread.scores(pod, nodes, fitting)),
        (POD_AFFINITY, PodAffinity(pod, nodes, namespace_labels).scores(fitting)),
    )
    return {name: round(sum(weight * each.get(name, 0.0) for weight, each in scores), 6) for name in fitting}


def _share(values: Mapping[str, float]) -> dict[str, float]:
    """As percentages of the greatest."""
    most = max(values.values(), default=0.0)
    return {name: 100 * value / most if most else 0.0 for name, value in values.items()}
