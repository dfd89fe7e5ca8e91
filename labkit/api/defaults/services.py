"""Services and who answers for them (pkg/apis/{core,discovery}/v1/defaults.go of v1.34)."""

from __future__ import annotations

from labkit.api.defaults.fields import Fields, fill

AFFINITY_SECONDS = 10800


def service(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    fill(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {})
        fill(config.setdefault("clientIP", {}), timeoutSeconds=AFFINITY_SECONDS)
    for port in spec.get("ports", ()):
        fill(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, "") and "port" in port:
            port["targetPort"] = port["port"]
    if spec["type"] != "ExternalName":
        fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs")):
        fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
        for ingress in obj.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
            if ingress.get("ip"):
                fill(ingress, ipMode="VIP")


def endpoint_slice(obj: Fields) -> None:
    for port in obj.get("ports", ()):
        port.setdefault("name", "")
        fill(port, protocol="TCP")


def endpoints(obj: Fields) -> None:
    for subset in obj.get("subsets", ()):
        for port in subset.get("ports", ()):
            fill(port, protocol="TCP")
