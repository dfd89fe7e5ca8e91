"""What a namespace that is being deleted still waits for, as its conditions tell it. Pure.

Source: kubernetes/pkg/controller/namespace/deletion/status_condition_utils.go of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from labkit.api.resources import Resource
from labkit.control.conditions import make

Raw = dict[str, Any]

NO_FAILURES = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
)


def remaining(left: Iterable[Raw], resource: Callable[[Raw], Resource]) -> list[Raw]:
    """The conditions of a namespace in which these objects are left."""
    kinds: Counter[str] = Counter()
    finalizers: Counter[str] = Counter()
    for raw in left:
        found = resource(raw)
        kinds[f"{found.plural}.{found.group}"] += 1
        finalizers.update(raw["metadata"].get("finalizers", ()))
    conditions = [make(kind, "False", reason, message) for kind, reason, message in NO_FAILURES]
    if kinds:
        listed = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(kinds.items()))
        text = f"Some resources are remaining: {listed}"
        conditions.append(make("NamespaceContentRemaining", "True", "SomeResourcesRemain", text))
    else:
        text = "All content successfully removed"
        conditions.append(make("NamespaceContentRemaining", "False", "ContentRemoved", text))
    if finalizers:
        listed = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(finalizers.items()))
        text = f"Some content in the namespace has finalizers remaining: {listed}"
        conditions.append(make("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", text))
    else:
        text = "All content-preserving finalizers finished"
        conditions.append(make("NamespaceFinalizersRemaining", "False", "ContentHasNoFinalizers", text))
    return conditions
