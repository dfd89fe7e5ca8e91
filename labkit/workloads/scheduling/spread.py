"""Topology spread: how unevenly a pod may make its like lie over zones, nodes, or whatever a label tells apart.

Source: pkg/scheduler/framework/plugins/podtopologyspread (filtering.go, scoring.go, common.go) of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import log
from typing import Any

from labkit.api import selectors
from labkit.workloads.pods import is_terminating
from labkit.workloads.scheduling import node_affinity, taints
from labkit.workloads.scheduling.snapshot import NodeState

Raw = dict[str, Any]
Nodes = Mapping[str, NodeState]

MISMATCH = "node(s) didn't match pod topology spread constraints"
MISSING = f"{MISMATCH} (missing required label)"


def constraints(pod: Raw, when: str) -> list[Raw]:
    """The pod's constraints that are requirements ("DoNotSchedule") or wishes ("ScheduleAnyway")."""
    return [each for each in pod["spec"].get("topologySpreadConstraints", ()) if each["whenUnsatisfiable"] == when]


def obstacle(pod: Raw, nodes: Nodes) -> Callable[[NodeState], tuple[str, bool]]:
    """A function that says why a node would be one too many, and whether pods that go could change that."""
    hard = constraints(pod, "DoNotSchedule")
    counted = [(each, _count(pod, each, hard, nodes)) for each in hard]
    labels = pod["metadata"].get("labels", {})

    def check(state: NodeState) -> tuple[str, bool]:
        for constraint, domains in counted:
            value = _labels(state).get(constraint["topologyKey"])
            if value is None:
                return MISSING, False
            few = len(domains) < constraint.get("minDomains", 1)
            least = 0 if few or not domains else min(domains.values())
            mine = selectors.matches(_selector(pod, constraint), labels)
            if domains[value] + mine - least > constraint["maxSkew"]:
                return MISMATCH, True
        return "", True

    return check


def scores(pod: Raw, nodes: Nodes, fitting: Iterable[str]) -> dict[str, float]:
    """These nodes by how few like pods their domains have, 0 to 100; nothing where the pod has no wishes."""
    soft = constraints(pod, "ScheduleAnyway")
    if not soft:
        return {}
    raw: dict[str, float] = {}
    counted = [(each, _count(pod, each, soft, nodes)) for each in soft]
    for name in fitting:
        labels = _labels(nodes[name])
        if all(each["topologyKey"] in labels for each in soft):
            raw[name] = sum(
                domains[labels[each["topologyKey"]]] * log(len(domains) + 2) + each["maxSkew"] - 1
                for each, domains in counted
            )
    most, least = max(raw.values(), default=0), min(raw.values(), default=0)
    return {name: 100 * (most + least - raw[name]) / most if name in raw and most else 0 for name in fitting}


def _count(pod: Raw, constraint: Raw, of_its_kind: list[Raw], nodes: Nodes) -> Counter[str]:
    """Like pods in each domain of the nodes that count."""
    selector = _selector(pod, constraint)
    domains: Counter[str] = Counter()
    for state in nodes.values():
        labels = _labels(state)
        if not all(each["topologyKey"] in labels for each in of_its_kind) or not _counts(pod, constraint, state):
            continue
        domains[labels[constraint["topologyKey"]]] += sum(
            other["metadata"]["namespace"] == pod["metadata"]["namespace"]
            and not is_terminating(other)
            and selectors.matches(selector, other["metadata"].get("labels", {}))
            for other in state.pods.values()
        )
    return domains


def _counts(pod: Raw, constraint: Raw, state: NodeState) -> bool:
    """Whether a node takes part: by the policies on node affinity (honoured) and taints (ignored)."""
    spec = pod["spec"]
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not node_affinity.matches(spec, state.raw):
        return False
    ignores = constraint.get("nodeTaintsPolicy", "Ignore") == "Ignore"
    return ignores or taints.untolerated(state.raw, spec.get("tolerations", ())) is None


def _selector(pod: Raw, constraint: Raw) -> selectors.Requirements | None:
    if "labelSelector" not in constraint:
        return None
    labels = pod["metadata"].get("labels", {})
    keys = [key for key in constraint.get("matchLabelKeys", ()) if key in labels]
    also = tuple(selectors.Requirement(key, "in", (labels[key],)) for key in keys)
    return (*selectors.requirements(constraint["labelSelector"]), *also)


def _labels(state: NodeState) -> dict[str, str]:
    found: dict[str, str] = state.raw["metadata"].get("labels", {})
    return found
