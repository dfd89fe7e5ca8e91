"""What the API server fills in: `default(obj)` is the object as it would be stored, without what allocators add.

Source: pkg/apis/{core,apps,batch,discovery}/v1/defaults.go of Kubernetes v1.34.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.api.kinds import BY_KIND

Fields = dict[str, Any]

AFFINITY_SECONDS = 10800
VOLUME_MODE = 0o644
PROGRESS_SECONDS = 600


def default(obj: Fields) -> Fields:
    """A new object with the API server's defaults; the given one stays as it is. Types must be right.

    Null fields are dropped, as the server drops them. Twice is the same as once. A namespaced object without a
    namespace gets `default`.
    """
    made: Fields = _copy(obj)
    kind = made.get("kind", "")
    meta = made.setdefault("metadata", {})
    if kind in BY_KIND and BY_KIND[kind].namespaced:
        _fill(meta, namespace="default")
    fill = DEFAULTS.get(kind)
    if fill is not None:
        fill(made)
    return made


def _copy(value: Any) -> Any:
    """A deep copy without the null fields."""
    if isinstance(value, dict):
        return {name: _copy(child) for name, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_copy(child) for child in value]
    return value


def _fill(fields: Fields, **values: Any) -> None:
    """Set what is absent or empty text, as Go's zero values are defaulted."""
    for name, value in values.items():
        if fields.get(name) in (None, ""):
            fields[name] = value


def _service(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, sessionAffinity="None", type="ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {})
        _fill(config.setdefault("clientIP", {}), timeoutSeconds=AFFINITY_SECONDS)
    for port in spec.get("ports", ()):
        _fill(port, protocol="TCP")
        if port.get("targetPort") in (None, 0, "") and "port" in port:
            port["targetPort"] = port["port"]
    if spec["type"] != "ExternalName":
        _fill(spec, internalTrafficPolicy="Cluster", ipFamilyPolicy="SingleStack")
    if spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs")):
        _fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _fill(spec, allocateLoadBalancerNodePorts=True)


def _pod(obj: Fields) -> None:
    spec = obj.get("spec")
    if spec is None:
        return
    _pod_spec(spec)
    _fill(spec, enableServiceLinks=True)
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        resources = container["resources"]
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}


def _pod_spec(spec: Fields) -> None:
    _fill(spec, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
    _fill(spec, terminationGracePeriodSeconds=30, securityContext={})
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        _container(container)
        for port in container.get("ports", ()) if spec.get("hostNetwork") else ():
            if not port.get("hostPort") and "containerPort" in port:
                port["hostPort"] = port["containerPort"]
    for volume in spec.get("volumes", ()):
        _volume(volume)


def _container(container: Fields) -> None:
    _fill(container, imagePullPolicy="Always" if _is_latest(container.get("image", "")) else "IfNotPresent")
    _fill(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File", resources={})
    for port in container.get("ports", ()):
        _fill(port, protocol="TCP")
    for variable in container.get("env", ()):
        field = variable.get("valueFrom", {}).get("fieldRef")
        if field is not None:
            _fill(field, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for handler in container.get("lifecycle", {}).values():
        if isinstance(handler, dict) and "httpGet" in handler:
            _fill(handler["httpGet"], path="/", scheme="HTTP")


def _is_latest(image: str) -> bool:
    """Does the image name no digest, and no tag but `latest`? (pkg/util/parsers/parsers.go)"""
    name, digest, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return not digest and tag in ("", "latest")


def _probe(probe: Fields) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe[name] = probe.get(name) or value
    if "httpGet" in probe:
        _fill(probe["httpGet"], path="/", scheme="HTTP")
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _volume(volume: Fields) -> None:
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if name in volume:
            _fill(volume[name], defaultMode=VOLUME_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")


def _template(spec: Fields) -> None:
    template = spec.get("template")
    if template is not None and "spec" in template:
        _pod_spec(template["spec"])


def _replicated(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    _fill(spec, replicas=1)
    _template(spec)


def _deployment(obj: Fields) -> None:
    _replicated(obj)
    spec = obj["spec"]
    _fill(spec, revisionHistoryLimit=10, progressDeadlineSeconds=PROGRESS_SECONDS)
    strategy = spec.setdefault("strategy", {})
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")


def _daemon_set(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    _fill(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), maxUnavailable=1, maxSurge=0)


def _stateful_set(obj: Fields) -> None:
    _replicated(obj)
    spec = obj["spec"]
    _fill(spec, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _fill(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), partition=0)
    _fill(spec.setdefault("persistentVolumeClaimRetentionPolicy", {}), whenDeleted="Retain", whenScaled="Retain")


def _job(obj: Fields) -> None:
    spec = obj.setdefault("spec", {})
    _template(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _fill(spec, podReplacementPolicy="Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")


def _endpoint_slice(obj: Fields) -> None:
    for port in obj.get("ports", ()):
        port.setdefault("name", "")
        _fill(port, protocol="TCP")


def _endpoints(obj: Fields) -> None:
    for subset in obj.get("subsets", ()):
        for port in subset.get("ports", ()):
            _fill(port, protocol="TCP")


def _namespace(obj: Fields) -> None:
    """The label by which policies select a namespace, and the spec's finalizer that the server itself keeps."""
    name = obj["metadata"].get("name")
    if name:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    _fill(obj.setdefault("spec", {}), finalizers=["kubernetes"])
    _fill(obj.setdefault("status", {}), phase="Active")


def _secret(obj: Fields) -> None:
    _fill(obj, type="Opaque")


def _network_policy(obj: Fields) -> None:
    """Egress is policed by default only where a policy has egress rules (pkg/apis/networking/v1/defaults.go)."""
    spec = obj.get("spec", {})
    for rule in spec.get("ingress", []) + spec.get("egress", []):
        for port in rule.get("ports", ()):
            _fill(port, protocol="TCP")
    if spec and not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def _definition(obj: Fields) -> None:
    """apiextensions-apiserver/pkg/apis/apiextensions/v1/defaults.go."""
    names = obj["spec"].setdefault("names", {}) if "spec" in obj else {}
    if names.get("kind"):
        _fill(names, singular=names["kind"].lower(), listKind=f"{names['kind']}List")
    if "spec" in obj:
        _fill(obj["spec"], conversion={"strategy": "None"})


DEFAULTS: dict[str, Callable[[Fields], None]] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "EndpointSlice": _endpoint_slice,
    "Endpoints": _endpoints,
    "Job": _job,
    "Namespace": _namespace,
    "NetworkPolicy": _network_policy,
    "Pod": _pod,
    "ReplicaSet": _replicated,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
