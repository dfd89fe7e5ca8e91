"""What an update may not change, by kind.

Source: kubernetes/pkg/apis/{core,apps,batch,rbac,…}/validation/validation.go of v1.34 (ValidatePodUpdate,
ValidateDeploymentUpdate, ...), apimachinery/pkg/api/validation/objectmeta.go. A Service's own rules are in
`labkit.services.change`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from labkit.api import quantity
from labkit.api.problem import Problem, forbidden, invalid
from labkit.api.validation.storage import PLAIN

Raw = dict[str, Any]
Validator = Callable[[Raw, Raw | None], Iterator[Problem]]
REMEDY = "Delete the object and create it anew, or leave this field as it is."
POD_MUTABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)
SET_MUTABLE = ("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
               "persistentVolumeClaimRetentionPolicy", "minReadySeconds")  # fmt: skip
PLACES = ("affinity", "nodeSelector", "schedulingGates", "tolerations")
GATED = ("nodeSelector", "affinity")
"""What may still change of a pod that its gates keep from being scheduled."""


def fixed(*path: str, detail: str = "field is immutable") -> Validator:
    """A validator: the field at `path` stays as it was created."""

    def check(new: Raw, old: Raw | None) -> Iterator[Problem]:
        if old is not None and (value := _at(new, path)) != _at(old, path):
            yield invalid(".".join(path), value, detail, REMEDY)

    return check


def barred(field: str, detail: str) -> Validator:
    """The same for a top-level field, with a sentence of its own."""

    def check(new: Raw, old: Raw | None) -> Iterator[Problem]:
        if old is not None and new.get(field) != old.get(field):
            yield forbidden(field, detail, REMEDY)

    return check


def every(*validators: Validator) -> Validator:
    def check(new: Raw, old: Raw | None) -> Iterator[Problem]:
        for validator in validators:
            yield from validator(new, old)

    return check


def metadata(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """Of any kind: what is being deleted gets no new finalizers."""
    if old is None or "deletionTimestamp" not in old["metadata"]:
        return
    added = sorted(set(new["metadata"].get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ()))
    if added:
        listed = ", ".join(f'"{name}"' for name in added)
        why = "no new finalizers can be added if the object is being deleted, found new finalizers []string{" + listed
        yield forbidden("metadata.finalizers", why + "}", "Leave the finalizers as they are.")


def pod(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """A pod's spec stays, but for images, deadline, tolerations, gates, and what the scheduler sets."""
    if old is None:
        return
    spec, before = new.get("spec", {}), old["spec"]
    for field in ("containers", "initContainers"):
        if len(spec.get(field, ())) != len(before.get(field, ())):
            yield forbidden(f"spec.{field}", "pod updates may not add or remove containers", REMEDY)
            return
    gates, gates_before = spec.get("schedulingGates", []), before.get("schedulingGates", [])
    if added := [gate["name"] for gate in gates if gate not in gates_before]:
        why = f"only deletion is allowed, but found new scheduling gate '{added[0]}'"
        yield forbidden("spec.schedulingGates", why, REMEDY)
    deadline, deadline_before = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if deadline is None and deadline_before is not None:
        why = "must not update from a positive integer to nil value"
        yield invalid("spec.activeDeadlineSeconds", None, why, "Write a smaller number.")
    elif deadline is not None and deadline_before is not None and deadline > deadline_before:
        why = "must be less than or equal to previous value"
        yield invalid("spec.activeDeadlineSeconds", deadline, why, "Write a smaller number.")
    if any(item not in spec.get("tolerations", ()) for item in before.get("tolerations", ())):
        why = "existing toleration can not be modified except its tolerationSeconds"
        if not _only_longer(spec.get("tolerations", ()), before["tolerations"]):
            yield forbidden("spec.tolerations", why, "Add tolerations; leave those that are there.")
    free = GATED if gates_before else ()
    if _comparable(spec, free) != _comparable(before, free):
        why = f"pod updates may not change fields other than {POD_MUTABLE}"
        yield forbidden("spec", why, "Delete the pod and create it anew, or change the Deployment that it belongs to.")


def _only_longer(now: Any, before: Any) -> bool:
    def bare(item: Raw) -> Raw:
        return {name: value for name, value in item.items() if name != "tolerationSeconds"}

    kept = [bare(item) for item in now]
    return all(bare(item) in kept for item in before)


def _comparable(spec: Raw, free: tuple[str, ...]) -> Raw:
    """A pod's spec without the fields that may change."""
    changing = ("activeDeadlineSeconds", "tolerations", "schedulingGates", *free)
    kept = {name: value for name, value in spec.items() if name not in changing}
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [{**container, "image": ""} for container in kept[field]]
    return kept


def stateful_set(new: Raw, old: Raw | None) -> Iterator[Problem]:
    def rest(raw: Raw) -> Raw:
        return {name: value for name, value in raw.get("spec", {}).items() if name not in SET_MUTABLE}

    if old is not None and rest(new) != rest(old):
        listed = f"{', '.join(repr(name) for name in SET_MUTABLE[:-1])} and '{SET_MUTABLE[-1]}'"
        yield forbidden("spec", f"updates to statefulset spec for fields other than {listed} are forbidden", REMEDY)


def sealed(*fields: str) -> Validator:
    """A ConfigMap or Secret that says `immutable` stays as it is."""

    def check(new: Raw, old: Raw | None) -> Iterator[Problem]:
        if old is None or not old.get("immutable"):
            return
        if not new.get("immutable"):
            yield forbidden("immutable", "field is immutable when `immutable` is set", REMEDY)
        for field in fields:
            if (new.get(field) or {}) != (old.get(field) or {}):
                yield forbidden(field, "field is immutable when `immutable` is set", REMEDY)

    return check


def job(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """A suspended Job that has not begun may yet be told where to run."""
    if old is None:
        return
    yield from every(*JOB_FIELDS)(new, old)
    spec, before = new["spec"], old["spec"]
    if spec.get("completionMode") != "Indexed" or spec.get("completions") != spec.get("parallelism"):
        yield from fixed("spec", "completions")(new, old)
    begun = not before.get("suspend") or "startTime" in old.get("status", {})
    if spec.get("template") != before.get("template") and (begun or _elsewhere(spec) != _elsewhere(before)):
        yield invalid("spec.template", spec.get("template"), "field is immutable", REMEDY)


def _elsewhere(spec: Raw) -> Raw:
    """A Job's pod spec without what says where its pods run."""
    pod_spec: Raw = (spec.get("template") or {}).get("spec") or {}
    return {
        n: v for n, v in pod_spec.items() if n not in ("affinity", "nodeSelector", "tolerations", "schedulingGates")
    }


def claim(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """A claim gets its volume once; a bound one may grow."""
    if old is None:
        return
    bound = old.get("status", {}).get("phase") == "Bound"

    def rest(raw: Raw) -> Raw:
        spec = dict(raw["spec"])
        if not old["spec"].get("volumeName"):
            spec.pop("volumeName", None)
        if bound:
            spec.pop("resources", None)
        if old["spec"].get("storageClassName") is None:
            spec.pop("storageClassName", None)
        return spec

    if rest(new) != rest(old):
        why = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
        )
        yield forbidden("spec", why, REMEDY)
    sizes = [quantity.value(_at(raw, ("spec", "resources", "requests")).get("storage", 0)) for raw in (new, old)]
    if sizes[0] < sizes[1]:
        where = "spec.resources.requests.storage"
        yield forbidden(where, "field can not be less than status.capacity", "Ask for as much, or for more.")


def role_reference(new: Raw, old: Raw | None) -> Iterator[Problem]:
    if old is not None and new.get("roleRef") != old.get("roleRef"):
        yield invalid("roleRef", new.get("roleRef"), "cannot change roleRef", REMEDY)


def volume(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """A PersistentVolume's source stays."""

    def source(raw: Raw) -> Raw:
        return {name: value for name, value in raw["spec"].items() if name not in PLAIN}

    if old is not None and source(new) != source(old):
        yield forbidden(
            "spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation", REMEDY
        )


def _definition(new: Raw, old: Raw | None) -> Iterator[Problem]:
    from labkit.control.custom.definition import problems  # loaded with the first definition

    yield from problems(new, old)


def _at(raw: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        raw = raw.get(name, {})
    return raw


JOB_FIELDS = [
    fixed("spec", name)
    for name in ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
]
VALIDATORS: dict[str, Validator] = {
    "ClusterRoleBinding": role_reference,
    "ConfigMap": sealed("data", "binaryData"),
    "ControllerRevision": fixed("data"),
    "CustomResourceDefinition": _definition,
    "DaemonSet": fixed("spec", "selector"),
    "Deployment": fixed("spec", "selector"),
    "EndpointSlice": fixed("addressType"),
    "IPAddress": fixed("spec", "parentRef"),
    "IngressClass": fixed("spec", "controller"),
    "Job": job,
    "PersistentVolume": volume,
    "PersistentVolumeClaim": claim,
    "Pod": pod,
    "PriorityClass": every(barred("value", "may not be changed in an update."), fixed("preemptionPolicy")),
    "ReplicaSet": fixed("spec", "selector"),
    "RoleBinding": role_reference,
    "Secret": every(fixed("type"), sealed("data")),
    "StatefulSet": stateful_set,
    "StorageClass": every(
        *(barred(name, f"updates to {name} are forbidden.") for name in ("parameters", "provisioner", "reclaimPolicy")),
        fixed("volumeBindingMode"),
    ),
}
