"""Volumes of the cluster, claims to them, their classes (pkg/apis/core/validation, pkg/apis/storage/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api import quantity
from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.validation import quantities, selector, syntax

ACCESS = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
MODES = ("Block", "Filesystem")
RECLAIM = ("Delete", "Recycle", "Retain")
BINDING = ("Immediate", "WaitForFirstConsumer")
PLAIN = ("accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
         "storageClassName", "volumeAttributesClassName", "volumeMode")  # fmt: skip
"""What a PersistentVolume's spec has besides the one source of the volume."""

Fields = dict[str, Any]


def claim(obj: Fields) -> Iterator[Problem]:
    yield from claim_spec(obj.get("spec") or {}, "spec")


def claim_spec(spec: Fields, path: str) -> Iterator[Problem]:
    """The spec of a claim, or of a template of claims."""
    yield from _modes(spec, path)
    if spec.get("selector") is not None:
        yield from selector.label_selector(spec["selector"], f"{path}.selector")
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    where = f"{path}.resources[storage]"
    if size is None:
        yield required(where, remedy="Add resources.requests.storage.")
    elif quantity.value(size) <= 0:
        yield invalid(where, str(size), "must be greater than zero", "Ask for some, such as 1Gi.")
    if spec.get("storageClassName"):
        yield from syntax.checked(f"{path}.storageClassName", spec["storageClassName"], syntax.dns_subdomain)
    if spec.get("volumeMode") is not None and spec["volumeMode"] not in MODES:
        yield unsupported(f"{path}.volumeMode", spec["volumeMode"], MODES)


def volume(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from _modes(spec, "spec")
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield required("spec.capacity")
    elif "storage" not in capacity or len(capacity) > 1:
        yield unsupported("spec.capacity", sorted(capacity)[0], ("storage",))
    for name, amount in capacity.items():
        yield from quantities.amount(f"spec.capacity[{name}]", name, amount)
        if quantity.value(amount) == 0:
            yield invalid(f"spec.capacity[{name}]", str(amount), "must be greater than zero", "Write some.")
    sources = [name for name, value in spec.items() if name not in PLAIN and value is not None]
    if not sources:
        yield required("spec", "must specify a volume type", "Add hostPath, nfs, local or csi.")
    for extra in sources[1:]:
        yield forbidden(f"spec.{extra}", "may not specify more than 1 volume type", f"Keep {sources[0]}.")
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in RECLAIM:
        yield unsupported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM)
    if spec.get("local") is not None and not (spec.get("nodeAffinity") or {}).get("required"):
        yield required("spec.nodeAffinity", "Local volume requires node affinity")
    if spec.get("storageClassName"):
        yield from syntax.checked("spec.storageClassName", spec["storageClassName"], syntax.dns_subdomain)
    if spec.get("volumeMode") is not None and spec["volumeMode"] not in MODES:
        yield unsupported("spec.volumeMode", spec["volumeMode"], MODES)


def _modes(spec: Fields, path: str) -> Iterator[Problem]:
    modes = spec.get("accessModes") or []
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required", "Add ReadWriteOnce.")
    for mode in modes:
        if mode not in ACCESS:
            yield unsupported(f"{path}.accessModes", mode, ACCESS)
    if "ReadWriteOncePod" in modes and len(set(modes)) > 1:
        yield forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")


def storage_class(obj: Fields) -> Iterator[Problem]:
    provisioner = obj.get("provisioner")
    if provisioner == "":
        yield required("provisioner", remedy="Name the driver, such as kubernetes.io/no-provisioner.")
    elif provisioner:
        yield from syntax.checked("provisioner", provisioner.lower(), syntax.qualified_name)
    policy, binding = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
    if policy and policy not in ("Delete", "Retain"):
        yield unsupported("reclaimPolicy", policy, ("Delete", "Retain"))
    if binding is not None and binding not in BINDING:
        yield unsupported("volumeBindingMode", binding, BINDING)
    for key in obj.get("parameters") or {}:
        if not key:
            yield invalid("parameters", key, "field can not be empty.", "Name the parameter.")
