"""Exercises on the lists of endpoints, written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from labkit.learn.exercise import Exercise

OUTSIDE = "203.0.113.10"


def _object(answer: object, api_version: str, kind: str) -> Mapping[str, Any] | str:
    """The one object in the answer, or a sentence that says why it is not the one that is asked for."""
    manifest = yaml.safe_load(answer) if isinstance(answer, str) else answer
    if not isinstance(manifest, Mapping):
        return f"This is not a manifest: give YAML text or a dict of the kind {kind}."
    if (manifest.get("apiVersion"), manifest.get("kind")) != (api_version, kind):
        return f"This is {manifest.get('apiVersion')} {manifest.get('kind')}; {api_version} {kind} is asked for."
    return manifest


def _by_hand(answer: object) -> bool | str:
    found = _object(answer, "v1", "Endpoints")
    if isinstance(found, str):
        return found
    meta = found.get("metadata") or {}
    if (meta.get("name"), meta.get("namespace")) != ("mail", "shop"):
        return f"These are of the Service {meta.get('name')} in the namespace {meta.get('namespace', 'default')}."
    subset = (found.get("subsets") or [{}])[0]
    addresses = [address.get("ip") for address in subset.get("addresses") or ()]
    if addresses != [OUTSIDE]:
        return f"Packets would go to {', '.join(map(str, addresses)) or 'nobody'}."
    ports = [port.get("port") for port in subset.get("ports") or ()]
    return True if ports == [80] else f"They would go to port {', '.join(map(str, ports)) or 'none'}."


def _slice_by_hand(answer: object) -> bool | str:
    found = _object(answer, "discovery.k8s.io/v1", "EndpointSlice")
    if isinstance(found, str):
        return found
    meta = found.get("metadata") or {}
    service = (meta.get("labels") or {}).get("kubernetes.io/service-name")
    if (service, meta.get("namespace")) != ("mail", "shop"):
        return f"It would be of the Service {service} in the namespace {meta.get('namespace', 'default')}."
    if found.get("addressType") != "IPv4":
        return f"Its addressType is {found.get('addressType')}, and the address is an IPv4 one."
    addresses = [address for end in found.get("endpoints") or () for address in end.get("addresses") or ()]
    if addresses != [OUTSIDE]:
        return f"Packets would go to {', '.join(map(str, addresses)) or 'nobody'}."
    ports = [port.get("port") for port in found.get("ports") or ()]
    return True if ports == [80] else f"They would go to port {', '.join(map(str, ports)) or 'none'}."


EXERCISES = (
    Exercise(
        "endpoints/by-hand",
        f"Write the Endpoints that lead the Service mail in the namespace shop to {OUTSIDE}, port 80.",
        (
            "Endpoints belong to the Service that has their name, in the same namespace.",
            "`subsets` is a list; each entry has `addresses` and `ports`.",
            "An address is written as `ip: …`, a port as `port: …`.",
        ),
        _by_hand,
    ),
    Exercise(
        "endpoints/slice-by-hand",
        f"Write the EndpointSlice that leads the Service mail in the namespace shop to {OUTSIDE}, port 80.",
        (
            "A slice belongs to the Service that its label kubernetes.io/service-name names.",
            "addressType, ports and endpoints stand beside metadata; there is no spec.",
            "An endpoint has a list of `addresses`; a port that the Service does not name has an empty name.",
        ),
        _slice_by_hand,
    ),
)
