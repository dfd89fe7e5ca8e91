"""Which other pods a pod wants near, and which it wants far, in whatever a node's label calls a place.

Source: pkg/scheduler/framework/plugins/interpodaffinity (filtering.go, scoring.go) of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from labkit.api import selectors
from labkit.workloads.scheduling.snapshot import NodeState

Raw = dict[str, Any]
Nodes = Mapping[str, NodeState]
Place = tuple[str, str]
"""A node's label and its value."""
NamespaceLabels = Callable[[str], Mapping[str, str]]

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


class PodAffinity:
    """Answers for one pod; `namespace_labels` gives a namespace's labels by its name."""

    def __init__(self, pod: Raw, nodes: Nodes, namespace_labels: NamespaceLabels) -> None:
        self._pod = pod
        self._nodes = nodes
        self._namespace_labels = namespace_labels
        self._near = terms(pod, "podAffinity", REQUIRED)
        self._far = terms(pod, "podAntiAffinity", REQUIRED)
        self._near_places, self._far_places = self._places()
        self._kept_away = self._places_of_others()

    def obstacle(self, state: NodeState) -> tuple[str, bool]:
        """Why a node is not near or far enough, and whether pods that go could change that."""
        labels = state.raw["metadata"].get("labels", {})
        if not self._is_near(labels):
            return AFFINITY, False
        if any((term["topologyKey"], labels.get(term["topologyKey"])) in self._far_places for term in self._far):
            return ANTI_AFFINITY, True
        if self._kept_away and any(place in self._kept_away for place in labels.items()):
            return EXISTING, True
        return "", True

    def scores(self, fitting: Iterable[str]) -> dict[str, float]:
        """These nodes by what is near to them, 0 to 100; nothing where nobody has wishes."""
        weights = self._weights()
        if not weights:
            return {}
        raw = {
            name: sum(weights[place] for place in self._nodes[name].raw["metadata"].get("labels", {}).items())
            for name in fitting
        }
        most, least = max(raw.values()), min(raw.values())
        return {name: 100 * (value - least) / (most - least) if most > least else 0 for name, value in raw.items()}

    def _is_near(self, labels: Mapping[str, str]) -> bool:
        if not self._near:
            return True
        if any(term["topologyKey"] not in labels for term in self._near):
            return False
        if all((term["topologyKey"], labels[term["topologyKey"]]) in self._near_places for term in self._near):
            return True
        # The first of a group that wants to be together has nobody to be near to.
        return not self._near_places and all(self._selects(self._pod, term, self._pod) for term in self._near)

    def _places(self) -> tuple[set[Place], set[Place]]:
        """Places with a pod that all required terms select, and those with one that an excluding term selects."""
        near: set[Place] = set()
        far: set[Place] = set()
        if not self._near and not self._far:
            return near, far
        for labels, other in self._pods():
            if self._near and all(self._selects(self._pod, term, other) for term in self._near):
                near |= _in(self._near, labels)
            far |= _in([term for term in self._far if self._selects(self._pod, term, other)], labels)
        return near, far

    def _places_of_others(self) -> set[Place]:
        """Places from which pods that are there keep this one away."""
        found: set[Place] = set()
        for labels, other in self._affine():
            keeping = [t for t in terms(other, "podAntiAffinity", REQUIRED) if self._selects(other, t, self._pod)]
            found |= _in(keeping, labels)
        return found

    def _weights(self) -> Counter[Place]:
        """What each place is worth to the pod, and to those that are there."""
        weights: Counter[Place] = Counter()
        if mine := _wishes(self._pod):
            for labels, other in self._pods():
                _weigh(weights, labels, [(w, t) for w, t in mine if self._selects(self._pod, t, other)])
        for labels, other in self._affine():
            theirs = [*_wishes(other), *((1, term) for term in terms(other, "podAffinity", REQUIRED))]
            _weigh(weights, labels, [(w, t) for w, t in theirs if self._selects(other, t, self._pod)])
        return weights

    def _pods(self) -> Iterator[tuple[dict[str, str], Raw]]:
        """All pods on nodes, with the nodes' labels."""
        for state in self._nodes.values():
            for pod in state.pods.values():
                yield state.raw["metadata"].get("labels", {}), pod

    def _affine(self) -> Iterator[tuple[dict[str, str], Raw]]:
        """The pods on nodes that care what is near to them, with the nodes' labels."""
        for state in self._nodes.values():
            for uid in state.affine:
                yield state.raw["metadata"].get("labels", {}), state.pods[uid]

    def _selects(self, owner: Raw, term: Raw, other: Raw) -> bool:
        """Whether `other` is one of the pods that a term of `owner` means."""
        namespace = other["metadata"]["namespace"]
        named, chosen = term.get("namespaces") or (), term.get("namespaceSelector")
        if not named and chosen is None:
            named = (owner["metadata"]["namespace"],)
        if namespace not in named and not selectors.matches(chosen, self._namespace_labels(namespace)):
            return False
        if term.get("labelSelector") is None:
            return False
        wanted = (*selectors.requirements(term["labelSelector"]), *_same_labels(owner, term))
        return selectors.matches(wanted, other["metadata"].get("labels", {}))


def terms(pod: Raw, kind: str, when: str) -> list[Raw]:
    found: list[Raw] = ((pod["spec"].get("affinity") or {}).get(kind) or {}).get(when) or []
    return found


def _wishes(pod: Raw) -> list[tuple[int, Raw]]:
    near = [(each["weight"], each["podAffinityTerm"]) for each in terms(pod, "podAffinity", PREFERRED)]
    far = [(-each["weight"], each["podAffinityTerm"]) for each in terms(pod, "podAntiAffinity", PREFERRED)]
    return near + far


def _weigh(weights: Counter[Place], labels: Mapping[str, str], wishes: list[tuple[int, Raw]]) -> None:
    for weight, term in wishes:
        weights.update(dict.fromkeys(_in([term], labels), weight))


def _in(found: list[Raw], labels: Mapping[str, str]) -> set[Place]:
    """The places that terms name on a node with these labels."""
    return {(t["topologyKey"], labels[t["topologyKey"]]) for t in found if t["topologyKey"] in labels}


def _same_labels(owner: Raw, term: Raw) -> Iterator[selectors.Requirement]:
    labels = owner["metadata"].get("labels", {})
    for field, operator in (("matchLabelKeys", "in"), ("mismatchLabelKeys", "notin")):
        for key in term.get(field) or ():
            if key in labels:
                yield selectors.Requirement(key, operator, (labels[key],))
