"""Which nodes a pod asks for by their labels and names, and which it prefers.

Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labkit.api.selectors import Requirement

Raw = dict[str, Any]

OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": ">", "Lt": "<"}


def matches(spec: Raw, node: Raw) -> bool:
    """Whether a node is one of those that a pod's spec asks for: by nodeSelector and by required node affinity."""
    labels = node["metadata"].get("labels", {})
    if not spec.get("nodeSelector", {}).items() <= labels.items():
        return False
    required = _affinity(spec).get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_term(term, node) for term in required.get("nodeSelectorTerms", ()))


def preference(spec: Raw, node: Raw) -> int:
    """The sum of the weights of the preferences that the node meets."""
    preferred = _affinity(spec).get("preferredDuringSchedulingIgnoredDuringExecution", ())
    return sum(each["weight"] for each in preferred if _term(each["preference"], node))


def _affinity(spec: Raw) -> Raw:
    found: Raw = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return found


def _term(term: Raw, node: Raw) -> bool:
    """All of a term's conditions; a term without any matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels", {})
    return _all(expressions, labels) and _all(fields, {"metadata.name": node["metadata"]["name"]})


def _all(expressions: Sequence[Raw], values: Mapping[str, str]) -> bool:
    return all(
        Requirement(each["key"], OPERATORS[each["operator"]], tuple(each.get("values") or ())).matches(values)
        for each in expressions
    )
