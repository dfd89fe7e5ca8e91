"""Which changes of a Service are a matter for its load balancer, and which of them are worth an Event. Pure.

Source: k8s.io/cloud-provider/controllers/service/controller.go (needsUpdate) of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from labkit.api.objects import Service
from labkit.services.cloud.balancer import wants

Said = tuple[str, str]


def needs_update(old: Service, new: Service) -> list[Said] | None:
    """Reason and message of the Event to be recorded, if any; None where the balancer stays as it is."""
    if not wants(old) and not wants(new):
        return None
    if wants(old) != wants(new):
        return [("Type", f"{old.spec.type} -> {new.spec.type}")]
    said = next(_said(old, new), None)
    if said is not None:
        return [said]
    before, after = old.spec, new.spec
    silent = (
        before.ports != after.ports
        or before.session_affinity != after.session_affinity
        or before.session_affinity_config != after.session_affinity_config
        or old.metadata.annotations != new.metadata.annotations
    )
    return [] if silent else None


def _said(old: Service, new: Service) -> Iterator[Said]:
    """The Events that the change deserves; the controller records the first."""
    before, after = old.spec, new.spec
    if before.load_balancer_source_ranges != after.load_balancer_source_ranges:
        ranges = f"{_listed(before.load_balancer_source_ranges)} -> {_listed(after.load_balancer_source_ranges)}"
        yield "LoadBalancerSourceRanges", ranges
    if before.load_balancer_ip != after.load_balancer_ip:
        yield "LoadbalancerIP", f"{before.load_balancer_ip} -> {after.load_balancer_ip}"
    if len(before.external_ips) != len(after.external_ips):
        yield "ExternalIP", f"Count: {len(before.external_ips)} -> {len(after.external_ips)}"
    for was, address in zip(before.external_ips, after.external_ips, strict=False):
        if was != address:
            yield "ExternalIP", f"Added: {address}"
    if len(before.ip_families) != len(after.ip_families):
        yield "IPFamilies", f"Count: {len(before.ip_families)} -> {len(after.ip_families)}"
    if old.metadata.uid != new.metadata.uid:
        yield "UID", f"{old.metadata.uid} -> {new.metadata.uid}"
    if before.external_traffic_policy != after.external_traffic_policy:
        yield "ExternalTrafficPolicy", f"{before.external_traffic_policy} -> {after.external_traffic_policy}"
    if before.health_check_node_port != after.health_check_node_port:
        yield "HealthCheckNodePort", f"{before.health_check_node_port} -> {after.health_check_node_port}"


def _listed(items: Sequence[str]) -> str:
    """As Go prints a slice."""
    return f"[{' '.join(items)}]"
