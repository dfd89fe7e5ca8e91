"""The status of Services (pkg/apis/core/validation/validation.go, ValidateLoadBalancerStatus)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.validation import syntax

MODES = ("Proxy", "VIP")
INGRESS = "status.loadBalancer.ingress"


def service_status(obj: dict[str, Any]) -> Iterator[Problem]:
    """What a client may not write as the status of a Service."""
    items = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if items and obj["spec"]["type"] != "LoadBalancer":
        yield forbidden(INGRESS, "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for index, item in enumerate(items):
        yield from _ingress(item, f"{INGRESS}[{index}]")


def _ingress(item: dict[str, Any], path: str) -> Iterator[Problem]:
    address, mode, name = item.get("ip") or "", item.get("ipMode"), item.get("hostname") or ""
    if address:
        yield from syntax.checked(f"{path}.ip", address, syntax.address)
    if mode is None and address:
        yield required(f"{path}.ipMode", "must be specified when `ip` is set", "Add ipMode: VIP or Proxy.")
    elif mode is not None and not address:
        yield forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set")
    elif mode is not None and mode not in MODES:
        yield unsupported(f"{path}.ipMode", mode, MODES)
    if name:
        yield from syntax.checked(f"{path}.hostname", name, syntax.dns_subdomain)
        if not list(syntax.address(name)):
            yield invalid(f"{path}.hostname", name, "must be a DNS name, not an IP address", "Write it as `ip`.")
