"""Services (pkg/apis/core/validation/validation.go, ValidateService)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, duplicate, forbidden, invalid, required, unsupported
from labkit.api.validation import meta, numbers, syntax

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
POLICIES = ("Cluster", "Local")
MAX_AFFINITY_SECONDS = 86400
KUBELET_PORT = 10250

Spec = dict[str, Any]


def service(obj: dict[str, Any]) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    if spec["type"] not in TYPES:
        yield unsupported("spec.type", spec["type"], TYPES)
    yield from _addresses(spec)
    yield from _external_name(spec)
    yield from _ports(spec)
    yield from meta.labels(spec.get("selector") or {}, "spec.selector")
    yield from _affinity(spec)
    yield from _traffic(spec)
    yield from _load_balancer(spec)


def externally_accessible(spec: Spec) -> bool:
    """Can the outside reach it: pkg/api/v1/service/util.go, ExternallyAccessible."""
    return spec["type"] in ("LoadBalancer", "NodePort") or (
        spec["type"] == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def _addresses(spec: Spec) -> Iterator[Problem]:
    cluster_ip, cluster_ips = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if cluster_ip and cluster_ip != "None":
        yield from syntax.checked(
            "spec.clusterIP", cluster_ip, syntax.address, "Leave it out: the cluster chooses one."
        )
    if cluster_ip == "None" and spec["type"] in ("LoadBalancer", "NodePort"):
        remedy = "Remove clusterIP, or make the type ClusterIP."
        yield invalid("spec.clusterIP", "None", f"may not be set to 'None' for {spec['type']} services", remedy)
    if cluster_ips and not cluster_ip:
        yield invalid("spec.clusterIPs", cluster_ips, "must be empty when `clusterIP` is not specified", "Remove it.")
    elif cluster_ips and cluster_ips[0] != cluster_ip:
        yield invalid("spec.clusterIPs", cluster_ips, "first value must match `clusterIP`", "Write clusterIP only.")
    for index, value in enumerate(spec.get("externalIPs") or []):
        yield from syntax.checked(f"spec.externalIPs[{index}]", value, syntax.endpoint_address)
    families = ("IPv4", "IPv6")
    for index, family in enumerate(spec.get("ipFamilies") or []):
        if family not in families:
            yield unsupported(f"spec.ipFamilies[{index}]", family, families)
        if family in spec["ipFamilies"][:index]:
            yield duplicate(f"spec.ipFamilies[{index}]", family)
    policy, policies = spec.get("ipFamilyPolicy"), ("PreferDualStack", "RequireDualStack", "SingleStack")
    if policy is not None and policy not in policies:
        yield unsupported("spec.ipFamilyPolicy", policy, policies)


def _external_name(spec: Spec) -> Iterator[Problem]:
    if spec["type"] != "ExternalName":
        return
    for name in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            yield forbidden(f"spec.{name}", "may not be set for ExternalName services")
    # A trailing dot marks the name as fully qualified.
    target = (spec.get("externalName") or "").removesuffix(".")
    if target:
        yield from syntax.checked(
            "spec.externalName", target, syntax.dns_subdomain, "Write a DNS name, not an address."
        )
    else:
        yield required("spec.externalName", remedy="Add the DNS name that the Service stands for.")


def _ports(spec: Spec) -> Iterator[Problem]:
    ports = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
        yield required("spec.ports", remedy="Add at least one port, or clusterIP: None for a headless Service.")
    names: set[str] = set()
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        yield from _port(port, path, len(ports) > 1, names)
        node_port = port.get("nodePort") or 0
        if not node_port:
            continue
        if spec["type"] == "ClusterIP":
            remedy = "Remove nodePort, or make the type NodePort."
            yield forbidden(f"{path}.nodePort", "may not be used when `type` is 'ClusterIP'", remedy)
        if (port["protocol"], node_port) in node_ports:
            yield duplicate(f"{path}.nodePort", node_port)
        node_ports.add((port["protocol"], node_port))


def _port(port: dict[str, Any], path: str, need_name: bool, names: set[str]) -> Iterator[Problem]:
    name = port.get("name") or ""
    if name:
        yield from syntax.checked(f"{path}.name", name, syntax.dns_label, "Use lower case letters, digits and hyphens.")
        if name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)
    elif need_name:
        yield required(f"{path}.name", remedy="Give each port a name: a Service with several ports needs them.")
    if port.get("port") is not None:
        yield from numbers.port(f"{path}.port", port["port"])
        if port.get("targetPort") != port["port"]:  # the default repeats the port, and would repeat its fault
            yield from numbers.port_or_name(f"{path}.targetPort", port["targetPort"])
    yield from numbers.protocol(f"{path}.protocol", port["protocol"])
    if port.get("appProtocol"):
        yield from syntax.checked(f"{path}.appProtocol", port["appProtocol"], syntax.qualified_name)


def _affinity(spec: Spec) -> Iterator[Problem]:
    affinity = spec["sessionAffinity"]
    if affinity not in ("ClientIP", "None"):
        yield unsupported("spec.sessionAffinity", affinity, ("ClientIP", "None"))
    if affinity == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= MAX_AFFINITY_SECONDS:
            detail = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
            remedy = f"Choose from 1 to {MAX_AFFINITY_SECONDS} seconds (a day)."
            yield invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, detail, remedy)


def _traffic(spec: Spec) -> Iterator[Problem]:
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    if external and not externally_accessible(spec):
        remedy = "Remove it, or make the type NodePort or LoadBalancer."
        detail = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", external, detail, remedy)
    elif external and external not in POLICIES:
        yield unsupported("spec.externalTrafficPolicy", external, POLICIES)
    if internal and internal not in POLICIES:
        yield unsupported("spec.internalTrafficPolicy", internal, POLICIES)
    distribution = spec.get("trafficDistribution")
    distributions = ("PreferClose", "PreferSameNode", "PreferSameZone")
    if distribution and distribution not in distributions:
        yield unsupported("spec.trafficDistribution", distribution, distributions)
    check_port = spec.get("healthCheckNodePort")
    if check_port:
        if spec["type"] == "LoadBalancer" and external == "Local":
            yield from numbers.port("spec.healthCheckNodePort", check_port)
        else:
            detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            yield invalid("spec.healthCheckNodePort", check_port, detail, "Remove it.")


def _load_balancer(spec: Spec) -> Iterator[Problem]:
    for index, value in enumerate(spec.get("loadBalancerSourceRanges") or []):
        yield from syntax.checked(f"spec.loadBalancerSourceRanges[{index}]", value.strip(), syntax.cidr)
    if spec["type"] == "LoadBalancer":
        for index, port in enumerate(spec.get("ports") or []):
            if port.get("port") == KUBELET_PORT:
                detail = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
                yield invalid(f"spec.ports[{index}]", KUBELET_PORT, detail, "Choose another port.")
        return
    for name in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) not in (None, [], ""):
            yield forbidden(f"spec.{name}", "may only be used when `type` is 'LoadBalancer'")
