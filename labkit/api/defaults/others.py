"""The other kinds (pkg/apis/{core,networking,rbac,scheduling,storage}/v1/defaults.go, apiextensions)."""

from __future__ import annotations

from labkit.api.defaults.fields import Fields, amounts, fill
from labkit.api.defaults.workloads import claim_spec

RBAC_GROUP = "rbac.authorization.k8s.io"


def namespace(obj: Fields) -> None:
    """The label by which policies select a namespace, and the spec's finalizer that the server itself keeps."""
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    fill(obj.setdefault("spec", {}), finalizers=["kubernetes"])
    fill(obj.setdefault("status", {}), phase="Active")


def secret(obj: Fields) -> None:
    fill(obj, type="Opaque")


def network_policy(obj: Fields) -> None:
    """Egress is policed by default only where a policy has egress rules (pkg/apis/networking/v1/defaults.go)."""
    spec = obj.get("spec", {})
    for rule in spec.get("ingress", []) + spec.get("egress", []):
        for port in rule.get("ports", ()):
            fill(port, protocol="TCP")
    if spec and not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def definition(obj: Fields) -> None:
    """apiextensions-apiserver/pkg/apis/apiextensions/v1/defaults.go."""
    names = obj["spec"].setdefault("names", {}) if "spec" in obj else {}
    if names.get("kind"):
        fill(names, singular=names["kind"].lower(), listKind=f"{names['kind']}List")
    if "spec" in obj:
        fill(obj["spec"], conversion={"strategy": "None"})


def ingress_class(obj: Fields) -> None:
    parameters = obj.get("spec", {}).get("parameters")
    if parameters is not None:
        fill(parameters, scope="Cluster")


def binding(obj: Fields) -> None:
    """Of roles: who is bound to what."""
    if "roleRef" in obj:
        fill(obj["roleRef"], apiGroup=RBAC_GROUP)
    for subject in obj.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            fill(subject, apiGroup=RBAC_GROUP)


def priority_class(obj: Fields) -> None:
    fill(obj, preemptionPolicy="PreemptLowerPriority")


def storage_class(obj: Fields) -> None:
    fill(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def volume(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    amounts(spec, "capacity")
    fill(obj.setdefault("status", {}), phase="Pending")


def claim(obj: Fields) -> None:
    claim_spec(obj.setdefault("spec", {}))
    fill(obj.setdefault("status", {}), phase="Pending")


def node(obj: Fields) -> None:
    """A node gives to pods all that it has, unless it says otherwise."""
    status = obj.get("status", {})
    amounts(status, "capacity", "allocatable")
    if "capacity" in status and "allocatable" not in status:
        status["allocatable"] = dict(status["capacity"])


def resource_quota(obj: Fields) -> None:
    amounts(obj.get("spec", {}), "hard")


def limit_range(obj: Fields) -> None:
    """Of containers: the default is the most, what is asked for the default, or the least."""
    for item in obj.get("spec", {}).get("limits", ()):
        amounts(item, "max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
        if item.get("type") != "Container":
            continue
        limits = {**item.get("max", {}), **item.get("default", {})}
        requests = {**item.get("min", {}), **limits, **item.get("defaultRequest", {})}
        if limits:
            item["default"] = limits
        if requests:
            item["defaultRequest"] = requests
