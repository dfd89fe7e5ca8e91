"""What a pod gets as it is made: the priority of its class, and tolerations of a node's short absence.

Source: plugin/pkg/admission/{priority,defaulttolerationseconds}/admission.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.api.problem import Problem
from labkit.api.validation.policy import SYSTEM_CLASSES
from labkit.control import status
from labkit.control.admission import Admission
from labkit.control.store import Raw, Store
from labkit.errors import ApiError

ABSENT = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
SECONDS = 300
PREEMPTS = "PreemptLowerPriority"
DESCRIPTIONS = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to "
    "another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}


def register(admission: Admission, toleration: int = SECONDS) -> None:
    store = admission.store
    admission.mutate("Pod", lambda new, old: _complete(store, toleration, new, old))


def create_classes(admission: Admission) -> None:
    """The two PriorityClasses that every cluster has, those that it has not yet."""
    for name, value in SYSTEM_CLASSES.items():
        if admission.store.find("PriorityClass", "", name) is not None:
            continue
        admission.create(
            {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "metadata": {"name": name},
                "value": value,
                "description": DESCRIPTIONS[name],
            }
        )


def _complete(store: Store, toleration: int, new: Raw, old: Raw | None) -> Iterable[Problem]:
    if old is None and "spec" in new:  # without a spec, validation refuses it
        _prioritize(store, new)
        _tolerate(new["spec"], toleration)
    return ()


def _prioritize(store: Store, new: Raw) -> None:
    """Raises Forbidden for a class that does not exist, and for a number that is not the class's."""
    spec = new["spec"]
    name = spec.get("priorityClassName") or ""
    if name:
        found = store.find("PriorityClass", "", name)
        if found is None:
            raise _forbidden(new, f"no PriorityClass with name {name} was found")
    else:
        found = _default(store)
    value, policy = (0, PREEMPTS) if found is None else (found["value"], found.get("preemptionPolicy", PREEMPTS))
    for field, given, computed, words in (
        ("priority", spec.get("priority"), value, "the integer value of priority"),
        ("preemptionPolicy", spec.get("preemptionPolicy"), policy, "the string value of PreemptionPolicy"),
    ):
        if given is not None and given != computed:
            why = "must not be provided in pod spec; priority admission controller computed"
            raise _forbidden(new, f"{words} ({given}) {why} {computed} from the given PriorityClass name")
        spec[field] = computed
    if found is not None:
        spec["priorityClassName"] = found["metadata"]["name"]


def _default(store: Store) -> Raw | None:
    """The class of pods that name none: of several the lowest."""
    marked = [each for each in store.list("PriorityClass") if each.get("globalDefault")]
    return min(marked, key=lambda each: each["value"], default=None)


def _tolerate(spec: Raw, seconds: int) -> None:
    given: list[dict[str, Any]] = spec.get("tolerations", [])
    for key in ABSENT:
        if not any(_covers(item, key) for item in given):
            wanted = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
            spec["tolerations"] = [*spec.get("tolerations", ()), wanted]


def _covers(item: dict[str, Any], key: str) -> bool:
    return item.get("key") in (key, None, "") and item.get("effect") in ("NoExecute", None, "")


def _forbidden(new: Raw, why: str) -> ApiError:
    return status.forbidden("Pod", new["metadata"].get("name") or new["metadata"].get("generateName", ""), why)
