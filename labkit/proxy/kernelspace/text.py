"""Load balancers as Windows' own tools print them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from labkit.proxy.kernelspace.hns import Flags, HnsEndpoint, LoadBalancer, PortFlags


def listed(made: Iterable[LoadBalancer]) -> str:
    """`hnsdiag list loadbalancers`."""
    lines = [f"{'ID':36} | {'Virtual IPs':16} | Direct IP IDs"]
    lines += [f"{one.id} |  {one.vip:15} | {' '.join(one.endpoints)}" for one in made]
    return "".join(f"{line}\n" for line in lines)


def policy_lists(made: Iterable[LoadBalancer]) -> str:
    """`Get-HnsPolicyList`: the fields that say something about a load balancer; PowerShell hides the VIPs."""
    return "\n".join(map(_policy_list, made))


def _policy_list(one: LoadBalancer) -> str:
    mapping = one.mapping
    said: dict[str, object] = {"ExternalPort": mapping.external_port, "InternalPort": mapping.internal_port}
    if one.dsr:
        said["IsDSR"] = True
    if PortFlags.LOCAL_ROUTED_VIP in mapping.flags:
        said["LocalRoutedVIP"] = True
    if mapping.distribution:
        said["DistributionType"] = int(mapping.distribution)
    said |= {"Protocol": mapping.protocol, "SourceVIP": one.source_vip, "Type": "ELB", "VIPs": f"{{{one.vip}}}"}
    policies = "; ".join(f"{name}={value}" for name, value in said.items())
    references = ", ".join(f"/endpoints/{each}" for each in one.endpoints)
    fields = {
        "Flags": int(one.flags),
        "ID": one.id.upper(),
        "Policies": f"{{@{{{policies}}}}}",
        "References": f"{{{references}}}",
        "State": 2,  # applied
    }
    return "".join(f"{name:18} : {value}\n" for name, value in fields.items())


def details(made: Iterable[LoadBalancer]) -> str:
    """`hnsdiag list loadbalancers -d`: a JSON object each, without what is empty."""
    return "".join(msgspec.json.format(msgspec.json.encode(_object(one)), indent=2).decode() + "\n" for one in made)


def _object(one: LoadBalancer) -> dict[str, Any]:
    mapping = {
        "Protocol": one.mapping.protocol,
        "InternalPort": one.mapping.internal_port,
        "ExternalPort": one.mapping.external_port,
        "DistributionType": int(one.mapping.distribution),
        "Flags": int(one.mapping.flags),
    }
    whole = {
        "ID": one.id,
        "HostComputeEndpoints": list(one.endpoints),
        "SourceVIP": one.source_vip,
        "FrontendVIPs": [one.vip] if one.vip else [],
        "PortMappings": [{name: value for name, value in mapping.items() if value}],
        "SchemaVersion": {"Major": 2, "Minor": 0},
        "Flags": int(one.flags),
    }
    return {name: value for name, value in whole.items() if value}


def endpoints(made: Iterable[HnsEndpoint]) -> str:
    """`Get-HnsEndpoint | ft ID, IPAddress, MacAddress, IsRemoteEndpoint`."""
    lines = [f"{'ID':36} {'IPAddress':15} {'MacAddress':17} IsRemoteEndpoint"]
    lines.append(f"{'--':36} {'---------':15} {'----------':17} ----------------")
    lines += [f"{one.id} {one.ip:15} {one.mac:17} {one.remote!s:>16}" for one in made]
    return "".join(f"{line}\n" for line in lines)


def flags(one: LoadBalancer) -> str:
    """The flags of a load balancer by name, for tables: `DSR, LocalRoutedVIP, VipExternalIP`."""
    names = {
        PortFlags.ILB: "ILB",
        PortFlags.LOCAL_ROUTED_VIP: "LocalRoutedVIP",
        PortFlags.USE_MUX: "UseMux",
        PortFlags.PRESERVE_DIP: "PreserveDIP",
        PortFlags.VIP_EXTERNAL_IP: "VipExternalIP",
    }
    own = {Flags.DSR: "DSR", Flags.IPV6: "IPv6"}
    found = [name for flag, name in own.items() if flag in one.flags]
    return ", ".join([*found, *(name for flag, name in names.items() if flag in one.mapping.flags)])
