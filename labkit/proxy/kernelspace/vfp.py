"""The rules that HNS writes for load balancers into the Virtual Filtering Platform of the node's switch.

    pod's port    LB_DSR             to an endpoint, the source is kept
                  SLB_NAT_LAYER      into a pod that is an endpoint, and its answers out
    host's port   LB, SLB_LB_LAYER   to an endpoint; without DSR the source becomes the node's
                  SLB_HAIRPIN_LAYER  back to an endpoint on this node

A pod's packet for a policy without DSR leaves its port as it is, and meets the rule at the host's.
Source: the names of layers, groups and rules that Azure's diagnostic scripts look for (networkhealth.ps1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from labkit.proxy.kernelspace.hns import Flags, LoadBalancer
from labkit.proxy.kernelspace.plan import HnsPlan

PortKind = Literal["pod", "host"]


class VfpRule(msgspec.Struct, frozen=True):
    """What one rule of a group does: packets of `protocol` (a number) to `destination`:`port` go to one of `targets`.

    source   "kept", or "node": the packet then comes from the node's address
    """

    layer: str
    group: str
    name: str
    protocol: int
    destination: str
    port: int
    targets: tuple[str, ...]
    target_port: int
    source: Literal["kept", "node"]
    balancer: LoadBalancer

    def __str__(self) -> str:
        to = ", ".join(f"{ip}:{self.target_port}" for ip in self.targets)
        what = f"protocol {self.protocol} to {self.destination}:{self.port} -> {to}"
        return f"RULE : {self.name}  {what}" + (", source NAT" if self.source == "node" else "")


class VfpPort(msgspec.Struct, frozen=True):
    """A port of the virtual switch: a pod's (`address`), or the host's own."""

    kind: PortKind
    address: str
    rules: tuple[VfpRule, ...]

    def __str__(self) -> str:
        """As `vfpctrl /list-rule` shows a port, layer by layer."""
        lines = [f"PORT : {self.kind} {self.address}"]
        above = ("", "")
        for rule in self.rules:
            if (rule.layer, rule.group) != above:
                above = (rule.layer, rule.group)
                lines.append(f"  LAYER : {rule.layer}  GROUP : {rule.group}")
            lines.append(f"    {rule}")
        return "".join(f"{line}\n" for line in lines)


def ports(plan: HnsPlan) -> tuple[VfpPort, ...]:
    """The host's port, then those of the pods on this node, by address."""
    host = VfpPort("host", plan.management_ip, tuple(rules_of(plan, "host", plan.management_ip)))
    pods = [each.ip for each in plan.endpoints if not each.remote]
    return (host, *(VfpPort("pod", ip, tuple(rules_of(plan, "pod", ip))) for ip in pods))


def rules_of(plan: HnsPlan, kind: PortKind, address: str) -> Iterator[VfpRule]:
    """The rules of a port, layer after layer; a pod's packet passes its own port's first, then the host's.

    `address`: of a pod, whether it is an endpoint or not.
    """
    found = [rule for one in plan.load_balancers for rule in _rules(plan, one, kind, address)]
    order = {layer: place for place, layer in enumerate(("LB_DSR", "LB", "SLB_LB_LAYER", *_AFTERWARDS))}
    yield from sorted(found, key=lambda rule: (order[rule.layer], rule.group))


_AFTERWARDS = ("SLB_NAT_LAYER", "SLB_HAIRPIN_LAYER")


def balances(rule: VfpRule) -> bool:
    """Whether the rule chooses an endpoint; others only turn around or let pass what one has chosen."""
    return rule.layer not in _AFTERWARDS


def _rules(plan: HnsPlan, one: LoadBalancer, kind: PortKind, address: str) -> Iterator[VfpRule]:
    mapping, vip = one.mapping, one.vip or plan.management_ip
    family = "IPv6" if Flags.IPV6 in one.flags else "IPv4"
    tag, outer, inner = one.id[:5].upper(), mapping.external_port, mapping.internal_port

    def rule(layer: str, group: str, name: str, source: Literal["kept", "node"]) -> VfpRule:
        return VfpRule(layer, group, name, mapping.protocol, vip, outer, one.ips, inner, source, one)

    if kind == "pod":
        if not one.dsr:
            return
        name = f"LB_DSR_{tag}_{plan.management_ip}_{vip}_{outer}_{inner}_{mapping.protocol}"
        yield rule("LB_DSR", f"LB_DSR_{family}_OUT", name, "kept")
        if address in one.ips:
            end = f"{tag}_{vip}_{outer}_{mapping.protocol}"
            yield rule("SLB_NAT_LAYER", f"SLB_GROUP_NAT_{family}_IN", f"NAT_{end}", "kept")
            yield rule("SLB_NAT_LAYER", f"SLB_GROUP_NAT_{family}_OUT", f"ALLOW_NAT_{end}", "kept")
        return
    source: Literal["kept", "node"] = "kept" if one.dsr else "node"
    if set(one.ips) - one.local:
        yield rule("LB", "LB_OUT", f"LB_HOST_{tag}_{vip}_{outer}_{inner}_{mapping.protocol}", source)
    else:
        how = "NAT" if len(one.ips) == 1 else "LB"
        name = f"{how}_{tag}_{vip}_{outer}_{outer}_{mapping.protocol}"
        yield rule("SLB_LB_LAYER", f"SLB_GROUP_LB_{family}_OUT", name, source)
    if one.local:
        name = f"HairPin_{tag}_{vip}_{outer}_{outer}_{mapping.protocol}"
        yield rule("SLB_HAIRPIN_LAYER", f"SLB_GROUP_HAIRPIN_{family}_IN", name, source)
