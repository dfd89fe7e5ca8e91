"""scale: the number of replicas of a workload as an object of its own.

Source: kubernetes/pkg/registry/apps/{deployment,replicaset,statefulset}/storage; apiextensions-apiserver for custom.
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.api.problem import Problem
from labkit.api.resources import Resource
from labkit.apiserver import bodies, options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.verbs import patching, writing
from labkit.control import status

Raw = dict[str, Any]

VERSION, KIND = "autoscaling/v1", "Scale"
SCALE = Resource(KIND, VERSION, "scale")


class Paths(msgspec.Struct, frozen=True):
    """Where an object has its numbers; `selector` is a text for custom resources."""

    spec: tuple[str, ...] = ("spec", "replicas")
    status: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")


def scale(call: Call) -> Answer:
    """get, update and patch."""
    paths = _paths(call)
    stored = call.shown(call.store.get(*call.route.key))
    before = shown(stored, paths)
    if call.route.verb == "get":
        return _answer(call, before)
    wanted = options.writing(call.request)
    if call.route.verb == "update":
        asked = bodies.asked(call.request, VERSION, KIND)
    else:
        asked = patching.patched_value(call, before, SCALE)
    replicas = (asked.get("spec") or {}).get("replicas", 0) if isinstance(asked.get("spec"), dict | None) else None
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise status.bad_request("Scale: spec.replicas must be an integer")
    if replicas < 0:
        problem = Problem("spec.replicas", f"Invalid value: {replicas}: must be greater than or equal to 0")
        raise status.invalid(SCALE, call.route.name, [problem])
    version = (asked.get("metadata") or {}).get("resourceVersion")
    changed = _with(stored, paths.spec, replicas)
    changed = {**changed, "metadata": {**stored["metadata"], "resourceVersion": version or ""}}
    return _answer(call, shown(writing.replaced(call, changed, wanted, "scale"), paths))


def shown(raw: Raw, paths: Paths) -> Raw:
    """The Scale of an object."""
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {name: raw["metadata"][name] for name in kept if name in raw["metadata"]}
    told: Raw = {"replicas": _at(raw, paths.status) or 0}
    if text := _selector(_at(raw, paths.selector)):
        told["selector"] = text
    spec = {"replicas": _at(raw, paths.spec) or 0}
    return {"kind": KIND, "apiVersion": VERSION, "metadata": metadata, "spec": spec, "status": told}


def _paths(call: Call) -> Paths:
    """Where the kind has its numbers."""
    version = call.plane.admission.custom.find(call.resource.api_version, call.resource.kind)
    if version is None or version.scale is None:
        return Paths()
    named = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    return Paths(*(tuple(filter(None, version.scale.get(name, "").split("."))) for name in named))


def _answer(call: Call, value: Raw) -> Answer:
    return call.rendering(SCALE, dict).one(value, warnings=call.warnings)


def _at(raw: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path; None where there is nothing, or no path."""
    raw = raw if path else None
    for name in path:
        raw = raw.get(name) if isinstance(raw, dict) else None
    return raw


def _with(raw: Raw, path: tuple[str, ...], value: Any) -> Raw:
    first, *rest = path
    inner = _with(raw.get(first) or {}, tuple(rest), value) if rest else value
    return {**raw, first: inner}


def _selector(selector: Any) -> str:
    """A label selector as the text that a client may list by."""
    if not isinstance(selector, dict):
        return selector if isinstance(selector, str) else ""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        values = ",".join(sorted(each.get("values") or ()))
        words = {"In": f"{each['key']} in ({values})", "NotIn": f"{each['key']} notin ({values})"}
        plain = {"Exists": each["key"], "DoesNotExist": f"!{each['key']}"}
        terms.append((words | plain)[each["operator"]])
    return ",".join(terms)
