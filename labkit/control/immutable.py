"""What an update may not change, by kind.

Source: kubernetes/pkg/apis/{core,apps,discovery}/validation/validation.go of v1.34 (ValidatePodUpdate,
ValidateDeploymentUpdate, ...). A Service's own rules are in `labkit.services.change`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid

Raw = dict[str, Any]
REMEDY = "Delete the object and create it anew, or leave this field as it is."
POD_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)


def fixed(*path: str) -> Callable[[Raw, Raw | None], Iterator[Problem]]:
    """A validator: the field at `path` stays as it was created."""

    def check(new: Raw, old: Raw | None) -> Iterator[Problem]:
        if old is not None and (value := _at(new, path)) != _at(old, path):
            yield invalid(".".join(path), value, "field is immutable", REMEDY)

    return check


def pod(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """A pod's spec stays, but for images, deadline, tolerations and what the scheduler sets."""
    if old is not None and _comparable(new.get("spec", {})) != _comparable(old["spec"]):
        why = f"pod updates may not change fields other than {POD_MUTABLE}"
        yield forbidden("spec", why, "Delete the pod and create it anew, or change the Deployment that it belongs to.")


def _definition(new: Raw, old: Raw | None) -> Iterator[Problem]:
    from labkit.control.custom.definition import problems  # loaded with the first definition

    yield from problems(new, old)


def _comparable(spec: Raw) -> Raw:
    """A pod's spec without the fields that may change."""
    kept = {name: value for name, value in spec.items() if name not in ("activeDeadlineSeconds", "tolerations")}
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [{**container, "image": ""} for container in kept[field]]
    return kept


def _at(raw: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        raw = raw.get(name, {})
    return raw


VALIDATORS = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": fixed("spec", "selector"),
    "Deployment": fixed("spec", "selector"),
    "EndpointSlice": fixed("addressType"),
    "Pod": pod,
    "ReplicaSet": fixed("spec", "selector"),
    "StatefulSet": fixed("spec", "selector"),
}
