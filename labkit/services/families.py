"""The IP families of a Service: what it asks for, what the cluster has, what follows from both. Pure.

Source: kubernetes/pkg/registry/core/service/storage/alloc.go (initIPFamilyFields), pkg/apis/core/validation
(ValidateServiceClusterIPsRelatedFields) of v1.34; KEP-563.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from labkit.api.problem import Problem, invalid

Spec = dict[str, Any]

POLICY = "spec.ipFamilyPolicy"
OTHER = {"IPv4": "IPv6", "IPv6": "IPv4"}


def family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def sound(spec: Spec) -> bool:
    """Whether `ipFamilies` are families, each there once; validation says what else they are."""
    families = spec.get("ipFamilies") or []
    return set(families) <= OTHER.keys() and len(set(families)) == len(families)


def settle(spec: Spec, old: Spec | None, configured: Sequence[str]) -> list[Problem]:
    """Fill in `ipFamilyPolicy` and `ipFamilies` of a Service that has cluster addresses; what is wrong with them.

    old: the Service's spec before; configured: the cluster's families, its default one first
    """
    if old is not None and _prefers_as_before(spec, old):
        return []  # a Service keeps what it has when the cluster's families change
    spec["ipFamilyPolicy"] = spec.get("ipFamilyPolicy") or _default_policy(spec, old)
    problems = [*_released(spec, old), *_too_many(spec), *_inferred(spec, configured)]
    if problems:
        return problems
    bare = spec.get("clusterIP") == "None" and not spec.get("selector")
    if not bare:
        problems = list(_unavailable(spec, configured))
    if problems:
        return problems
    families = spec["ipFamilies"] = list(spec.get("ipFamilies") or configured[:1])
    single = spec["ipFamilyPolicy"] == "SingleStack"
    if not single and len(families) == 1 and (bare or len(configured) == 2):
        families.append(OTHER[families[0]])
    return []


def mismatched(spec: Spec) -> Iterator[Problem]:
    """Cluster addresses that are not of the families beside them, or two of one family."""
    addresses = spec.get("clusterIPs") or []
    if addresses[:1] == ["None"]:
        if len(addresses) > 1:
            yield invalid(
                "spec.clusterIPs", addresses, "'None' must be the first and only value", "Leave the rest out."
            )
        return
    if len(addresses) > 2:
        yield invalid("spec.clusterIPs", addresses, "may only hold up to 2 values", "Leave the rest out.")
    elif len(addresses) == 2 and family_of(addresses[0]) == family_of(addresses[1]):
        yield invalid("spec.clusterIPs", addresses, "may specify no more than one IP for each IP family")
    for index, (address, family) in enumerate(zip(addresses, spec.get("ipFamilies") or (), strict=False)):
        if family_of(address) != family:
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield invalid(f"spec.clusterIPs[{index}]", address, why, "Leave the address out, or the families.")


def _default_policy(spec: Spec, old: Spec | None) -> str:
    if old and old.get("ipFamilyPolicy"):
        return str(old["ipFamilyPolicy"])
    bare = spec.get("clusterIP") == "None" and not spec.get("selector")
    return "RequireDualStack" if bare else "SingleStack"


def _prefers_as_before(spec: Spec, old: Spec) -> bool:
    kept = ("type", "ipFamilyPolicy", "clusterIPs", "ipFamilies")
    return spec.get("ipFamilyPolicy") == "PreferDualStack" and all(spec.get(name) == old.get(name) for name in kept)


def _released(spec: Spec, old: Spec | None) -> Iterator[Problem]:
    """The second address or family goes with the policy SingleStack, and only with it."""
    if old is None:
        return
    for field, what in (("clusterIPs", "cluster IP"), ("ipFamilies", "IP family")):
        before, after = old.get(field) or [], spec.get(field) or []
        if spec["ipFamilyPolicy"] == "SingleStack":
            if before == after and len(after) > 1:
                spec[field] = after[:1]
        elif after and len(before) == 2 and after == before[:1]:
            why = f"must be 'SingleStack' to release the secondary {what}"
            yield invalid(POLICY, spec["ipFamilyPolicy"], why, "Make it SingleStack.")


def _too_many(spec: Spec) -> Iterator[Problem]:
    if spec["ipFamilyPolicy"] != "SingleStack":
        return
    for field, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
        if len(spec.get(field) or ()) == 2:
            why = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            yield invalid(POLICY, "SingleStack", why, "Make it PreferDualStack.")


def _inferred(spec: Spec, configured: Sequence[str]) -> Iterator[Problem]:
    """Take families that nobody wrote from the addresses."""
    addresses = spec.get("clusterIPs") or []
    families = list(spec.get("ipFamilies") or [])
    for index, address in enumerate(addresses):
        if address == "None" or index < len(families):
            continue
        if family_of(address) in configured:
            families.append(family_of(address))
        else:
            why = f"{family_of(address)} is not configured on this cluster"
            yield invalid(f"spec.clusterIPs[{index}]", addresses, why, _remedy(configured))
    if families:
        spec["ipFamilies"] = families


def _unavailable(spec: Spec, configured: Sequence[str]) -> Iterator[Problem]:
    if spec["ipFamilyPolicy"] == "RequireDualStack" and len(configured) < 2:
        why = "this cluster is not configured for dual-stack services"
        yield invalid(POLICY, "RequireDualStack", why, "Use SingleStack or PreferDualStack.")
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in configured:
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster", _remedy(configured))


def _remedy(configured: Sequence[str]) -> str:
    return f"This cluster has {' and '.join(configured)}."
