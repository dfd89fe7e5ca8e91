"""The downward API: a pod's own fields, and its containers' limits and requests, as text. Pure.

Source: pkg/fieldpath/fieldpath.go, pkg/kubelet/kubelet_pods.go (podFieldSelectorRuntimeValue),
k8s.io/kubectl/pkg/util/resource (ExtractContainerResourceValue).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import msgspec

from labkit.api import quantity
from labkit.api.objects import Container, Pod, ResourceFieldSelector
from labkit.errors import CommandError

_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


class Facts(msgspec.Struct, frozen=True):
    """What is known of a pod beside its object: addresses, and what its node has to give (cpu, memory)."""

    address: str = ""
    host: str = ""
    allocatable: Mapping[str, Any] = {}


_FIELDS: dict[str, Callable[[Pod, Facts], str]] = {
    "metadata.name": lambda pod, _: pod.name,
    "metadata.namespace": lambda pod, _: pod.namespace,
    "metadata.uid": lambda pod, _: pod.metadata.uid,
    "metadata.labels": lambda pod, _: _listed(pod.metadata.labels),
    "metadata.annotations": lambda pod, _: _listed(pod.metadata.annotations),
    "spec.nodeName": lambda pod, _: pod.spec.node_name,
    "spec.serviceAccountName": lambda pod, _: pod.spec.service_account_name or "default",
    "status.hostIP": lambda pod, facts: facts.host or pod.status.host_ip,
    "status.hostIPs": lambda pod, facts: facts.host or pod.status.host_ip,
    "status.podIP": lambda _, facts: facts.address,
    "status.podIPs": lambda _, facts: facts.address,
}


def field(path: str, pod: Pod, facts: Facts) -> str:
    """The value of a pod's field. Raises `CommandError` for a path that is none of the downward API's."""
    if path in _FIELDS:
        return _FIELDS[path](pod, facts)
    if keyed := _KEYED.fullmatch(path):
        values = pod.metadata.labels if keyed[1] == "labels" else pod.metadata.annotations
        return values.get(keyed[2], "")
    raise CommandError(f"unsupported fieldPath: {path}")


def resource(selector: ResourceFieldSelector, container: Container, pod: Pod, facts: Facts) -> str:
    """A limit or request, rounded up to units of the divisor; a limit that is not set is what the node has to give.

    Raises `CommandError` for a container or a resource that is not there.
    """
    if name := selector.container_name:
        found = next((c for c in (*pod.spec.containers, *pod.spec.init_containers) if c.name == name), None)
        if found is None:
            raise CommandError(f"container {name} not found")
        container = found
    kind, _, what = selector.resource.partition(".")
    if kind not in ("limits", "requests") or not what:
        raise CommandError(f"unsupported container resource : {selector.resource}")
    given = getattr(container.resources, kind).get(what)
    if given is None and kind == "limits":
        given = facts.allocatable.get(what)
    try:
        return str(quantity.ceiling(given or 0, quantity.value(selector.divisor) or Fraction(1)))
    except ValueError as error:
        raise CommandError(str(error)) from None


def _listed(values: Mapping[str, str]) -> str:
    """One `key="value"` a line, as Go quotes it (fieldpath.FormatMap)."""
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items()))
