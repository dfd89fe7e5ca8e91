"""How one version of a Service follows from another: what is kept, what goes with the type, what may not change.

Source: kubernetes/pkg/registry/core/service/strategy.go (patchAllocatedValues, dropTypeDependentFields),
storage/alloc.go (normalizeClusterIPs), pkg/apis/core/validation/validation.go (ValidateServiceUpdate) of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, invalid

Raw = dict[str, Any]


def wants_address(spec: Raw) -> bool:
    return spec.get("type") != "ExternalName"


def wants_ports(spec: Raw) -> bool:
    """Whether node ports are given out to ports that name none."""
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True))


def wants_health_port(spec: Raw) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def has_external_policy(spec: Raw) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))


def inherit(spec: Raw, old: Raw) -> None:
    """Change the new spec: keep what the old one was given, drop what does not fit the new type."""
    if spec.get("clusterIP", "") != old.get("clusterIP", "") and spec.get("clusterIPs") == old.get("clusterIPs"):
        spec.pop("clusterIPs", None)  # the client changed the one and left the other as it was
    if wants_address(spec) and wants_address(old):
        if not spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIP"] = old["clusterIP"]
        if not spec.get("clusterIPs") and spec["clusterIP"] == old["clusterIP"]:
            spec["clusterIPs"] = list(old["clusterIPs"])
    elif wants_address(old):
        _drop_unchanged(spec, old, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
        spec.pop("clusterIPs", None)
    if wants_address(spec) and not wants_address(old):
        _drop_unchanged(spec, old, "externalName")
    if not has_external_policy(spec):
        _drop_unchanged(spec, old, "externalTrafficPolicy")
    if spec.get("type") != "LoadBalancer":
        _drop_unchanged(spec, old, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if wants_health_port(spec) and wants_health_port(old):
        spec.setdefault("healthCheckNodePort", old["healthCheckNodePort"])
    elif not wants_health_port(spec):
        _drop_unchanged(spec, old, "healthCheckNodePort")
    _inherit_ports(spec, old)


def immutable(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """What an update of a Service may not do."""
    if old is None:
        return
    after, before = new["spec"], old["spec"]
    if wants_address(after) and wants_address(before):
        yield from _kept("clusterIPs", after, before, "clusterIP")
        yield from _kept("ipFamilies", after, before, "ipFamily")
    if after.get("type") == before.get("type") == "LoadBalancer":
        name = after.get("loadBalancerClass")
        if name != before.get("loadBalancerClass"):
            remedy = "Delete the Service and create it anew, or leave its class as it is."
            yield invalid("spec.loadBalancerClass", name, "may not change once set", remedy)


def _kept(field: str, after: Raw, before: Raw, what: str) -> Iterator[Problem]:
    """Neither of two may change; a second one may come, and go where the policy says so."""
    if after.get("clusterIP") == before.get("clusterIP") == "None" and not after.get("selector"):
        return  # headless, without a selector: anything goes
    new, old = after.get(field) or [], before.get(field) or []
    for index, value in enumerate(old[: max(1, len(new))]):
        if index >= len(new) or new[index] != value:
            remedy = f"Delete the Service and create it anew, or leave {what} as it is."
            yield invalid(f"spec.{field}[{index}]", new, "may not change once set", remedy)


def _drop_unchanged(spec: Raw, old: Raw, *fields: str) -> None:
    for field in fields:
        if field in spec and spec[field] == old.get(field):
            del spec[field]


def _inherit_ports(spec: Raw, old: Raw) -> None:
    ports, before = spec.get("ports", []), old.get("ports", [])
    if wants_ports(spec) and wants_ports(old):
        used = {port.get("nodePort") for port in ports}
        by_name = {port.get("name", ""): port["nodePort"] for port in before if port.get("nodePort")}
        for port in ports:
            given = by_name.get(port.get("name", ""))
            if given and not port.get("nodePort") and given not in used:
                port["nodePort"] = given
    elif spec.get("type") not in ("NodePort", "LoadBalancer"):
        kept = {port.get("nodePort") for port in before}
        for port in ports:
            if port.get("nodePort") in kept:
                port.pop("nodePort", None)
