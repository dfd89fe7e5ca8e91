"""Ephemeral containers, and who a container runs as (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, duplicate, forbidden, invalid, not_found, required, unsupported
from labkit.api.validation import syntax

FORBIDDEN = ("lifecycle", "livenessProbe", "ports", "readinessProbe", "resources", "startupProbe")
HIGHEST_ID = 2**31 - 1
PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")

Fields = dict[str, Any]


def ephemeral_containers(spec: Fields, path: str) -> Iterator[Problem]:
    others = [c.get("name") for group in ("containers", "initContainers") for c in spec.get(group) or []]
    taken = set(others)
    for index, item in enumerate(spec.get("ephemeralContainers") or []):
        where, name, target = f"{path}.ephemeralContainers[{index}]", item.get("name"), item.get("targetContainerName")
        if name is not None:
            yield from syntax.checked(f"{where}.name", name, syntax.dns_label)
            if name in taken:
                yield duplicate(f"{where}.name", name)
            taken.add(name)
        if not item.get("image"):
            yield required(f"{where}.image", remedy="Name the image that the container runs.")
        if target and target not in others:
            yield not_found(f"{where}.targetContainerName", target, "Name one of the pod's containers.")
        for field in FORBIDDEN:
            if item.get(field):
                yield forbidden(f"{where}.{field}", "cannot be set for an Ephemeral Container")
        for number, mount in enumerate(item.get("volumeMounts") or []):
            if mount.get("subPath"):
                field = f"{where}.volumeMounts[{number}].subPath"
                yield forbidden(field, "cannot be set for an Ephemeral Container")


def security_context(context: Fields, path: str) -> Iterator[Problem]:
    """Of a container, or what a pod shares with it."""
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        value = context.get(name)
        if value is not None and not 0 <= value <= HIGHEST_ID:
            why = f"must be between 0 and {HIGHEST_ID}, inclusive"
            yield invalid(f"{path}.{name}", value, why, "Choose another number.")
    profile = context.get("seccompProfile") or {}
    if profile.get("type") is not None and profile["type"] not in PROFILES:
        yield unsupported(f"{path}.seccompProfile.type", profile["type"], PROFILES)
    if profile.get("type") == "Localhost" and not profile.get("localhostProfile"):
        yield required(f"{path}.seccompProfile.localhostProfile", "must be set when seccomp type is Localhost")
    if context.get("allowPrivilegeEscalation") is False and context.get("privileged"):
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid(path, context, why, "Remove one of the two.")
