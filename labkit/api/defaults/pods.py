"""Pods and pod specs (pkg/apis/core/v1/defaults.go of v1.34)."""

from __future__ import annotations

from labkit.api.canonical import amount
from labkit.api.defaults.fields import Fields, amounts, fill

VOLUME_MODE = 0o644
TOKEN_SECONDS = 3600


def pod(obj: Fields) -> None:
    spec = obj.get("spec")
    if spec is None:
        return
    pod_spec(spec)
    fill(spec, enableServiceLinks=True)
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        resources = container["resources"]
        if resources.get("limits"):
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}


def quality(spec: Fields) -> str:
    """A pod's qosClass, by what its containers ask for (pkg/apis/core/v1/helper/qos)."""
    everyone = spec.get("containers", []) + spec.get("initContainers", [])
    asked = [(_compute(container, "requests"), _compute(container, "limits")) for container in everyone]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    same = all(limits.keys() == {"cpu", "memory"} and requests == limits for requests, limits in asked)
    return "Guaranteed" if same else "Burstable"


def _compute(container: Fields, field: str) -> Fields:
    given = (container.get("resources") or {}).get(field) or {}
    return {name: value for name, value in given.items() if name in ("cpu", "memory") and value not in ("0", 0)}


def pod_spec(spec: Fields) -> None:
    fill(spec, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
    fill(spec, terminationGracePeriodSeconds=30, securityContext={})
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        _container(container)
        for port in container.get("ports", ()) if spec.get("hostNetwork") else ():
            if not port.get("hostPort") and "containerPort" in port:
                port["hostPort"] = port["containerPort"]
    for container in spec.get("ephemeralContainers", []):
        _container(container)
        if not container["resources"]:
            del container["resources"]
    for volume in spec.get("volumes", ()):
        _volume(volume)
    amounts(spec, "overhead")


def _container(container: Fields) -> None:
    fill(container, imagePullPolicy="Always" if _is_latest(container.get("image", "")) else "IfNotPresent")
    fill(container, terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File", resources={})
    amounts(container["resources"], "limits", "requests")
    for port in container.get("ports", ()):
        fill(port, protocol="TCP")
    for variable in container.get("env", ()):
        field = variable.get("valueFrom", {}).get("fieldRef")
        if field is not None:
            fill(field, apiVersion="v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for handler in container.get("lifecycle", {}).values():
        if isinstance(handler, dict) and "httpGet" in handler:
            fill(handler["httpGet"], path="/", scheme="HTTP")


def _is_latest(image: str) -> bool:
    """Does the image name no digest, and no tag but `latest`? (pkg/util/parsers/parsers.go)"""
    name, digest, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return not digest and tag in ("", "latest")


def _probe(probe: Fields) -> None:
    for name, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        probe[name] = probe.get(name) or value
    if "httpGet" in probe:
        fill(probe["httpGet"], path="/", scheme="HTTP")
    if "grpc" in probe:
        probe["grpc"].setdefault("service", "")


def _volume(volume: Fields) -> None:
    if volume.keys() <= {"name"}:
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if name in volume:
            fill(volume[name], defaultMode=VOLUME_MODE)
    sources = [s for s in [volume.get("downwardAPI"), *volume.get("projected", {}).get("sources", ())] if s]
    for source in sources:
        fill(source.get("serviceAccountToken", {"expirationSeconds": 1}), expirationSeconds=TOKEN_SECONDS)
        for item in [*source.get("items", ()), *source.get("downwardAPI", {}).get("items", ())]:
            fill(item.get("fieldRef", {"apiVersion": "v1"}), apiVersion="v1")
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    if "sizeLimit" in volume.get("emptyDir", {}):
        volume["emptyDir"]["sizeLimit"] = amount(volume["emptyDir"]["sizeLimit"])
    template = volume.get("ephemeral", {}).get("volumeClaimTemplate", {})
    if "spec" in template:
        fill(template["spec"], volumeMode="Filesystem")
        amounts(template["spec"].get("resources", {}), "requests", "limits")
    if "image" in volume:
        always = _is_latest(volume["image"].get("reference", ""))
        fill(volume["image"], pullPolicy="Always" if always else "IfNotPresent")
