"""LimitRanger: a namespace's LimitRanges give containers amounts where they name none, and bound them.

Source: plugin/pkg/admission/limitranger/admission.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from labkit.api import amounts, quantity
from labkit.api.amounts import Amounts
from labkit.api.canonical import written
from labkit.api.defaults.pods import quality
from labkit.api.problem import Problem
from labkit.control import status
from labkit.control.admission import Admission
from labkit.control.store import Raw, Store
from labkit.errors import ApiError

ANNOTATION = "kubernetes.io/limit-ranger"


def register(admission: Admission) -> None:
    store = admission.store
    admission.mutate("Pod", lambda new, old: _pod(store, new, old))
    admission.mutate("PersistentVolumeClaim", lambda new, old: _claim(store, new))


def _pod(store: Store, new: Raw, old: Raw | None) -> Iterable[Problem]:
    """Raises Forbidden with all that is out of bounds."""
    if old is None and "spec" in new:
        for limits in store.list("LimitRange", new["metadata"]["namespace"]):
            _fill(new, _bounds(limits))
            _refuse("Pod", new, _pod_faults(new["spec"], _bounds(limits)))
    return ()


def _claim(store: Store, new: Raw) -> Iterable[Problem]:
    asked = amounts.parsed(new["spec"].get("resources", {}).get("requests"))
    for limits in store.list("LimitRange", new["metadata"]["namespace"]):
        items = [item for item in _bounds(limits) if item["type"] == "PersistentVolumeClaim"]
        _refuse("PersistentVolumeClaim", new, [why for item in items for why in _faults(item, asked, {})])
    return ()


def _fill(new: Raw, items: list[Raw]) -> None:
    """Give containers the defaults; an annotation tells which."""
    told = []
    for item in items:
        if item["type"] != "Container":
            continue
        for group, words in (("containers", "container"), ("initContainers", "init container")):
            for container in new["spec"].get(group, ()):
                for field, given in (("requests", "defaultRequest"), ("limits", "default")):
                    resources = container.setdefault("resources", {})
                    have = resources.get(field, {})
                    lacking = {name: amount for name, amount in item.get(given, {}).items() if name not in have}
                    if lacking:
                        resources[field] = {**have, **lacking}
                        told.append(f"{', '.join(sorted(lacking))} {field[:-1]} for {words} {container.get('name')}")
    if told:
        new.setdefault("status", {})["qosClass"] = quality(new["spec"])
        metadata = new["metadata"]
        metadata["annotations"] = {
            **metadata.get("annotations", {}),
            ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}",
        }


def _pod_faults(spec: Raw, items: list[Raw]) -> Iterator[str]:
    for item in items:
        if item["type"] == "Container":
            for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
                resources = container.get("resources", {})
                requests, limits = (amounts.parsed(resources.get(field)) for field in ("requests", "limits"))
                yield from _faults(item, requests, limits)
        elif item["type"] == "Pod":
            yield from _faults(item, amounts.of_pod(spec, "requests"), amounts.of_pod(spec, "limits"))


def _faults(item: dict[str, Any], requests: Amounts, limits: Amounts) -> Iterator[str]:
    """How the amounts of one container, pod or claim are out of the bounds of one item."""
    kind = item["type"]
    for name, bound in sorted(item.get("min", {}).items()):
        least, words = quantity.value(bound), f"minimum {name} usage per {kind} is {bound}"
        if name not in requests:
            yield f"{words}.  No request is specified"
        elif requests[name] < least:
            yield f"{words}, but request is {_text(requests[name], bound)}"
        elif name in limits and limits[name] < least:
            yield f"{words}, but limit is {_text(limits[name], bound)}"
    for name, bound in sorted(item.get("max", {}).items()):
        most, words = quantity.value(bound), f"maximum {name} usage per {kind} is {bound}"
        given = limits if kind != "PersistentVolumeClaim" else requests
        what = "limit" if given is limits else "request"
        if name not in given:
            yield f"{words}.  No {what} is specified"
        elif given[name] > most:
            yield f"{words}, but {what} is {_text(given[name], bound)}"
        elif requests.get(name, most) > most:
            yield f"{words}, but request is {_text(requests[name], bound)}"
    for name, bound in sorted(item.get("maxLimitRequestRatio", {}).items()):
        words = f"{name} max limit to request ratio per {kind} is {bound}"
        if not requests.get(name):
            yield f"{words}, but no request is specified or request is 0"
        elif not limits.get(name):
            yield f"{words}, but no limit is specified or limit is 0"
        elif limits[name] / requests[name] > quantity.value(bound):
            yield f"{words}, but provided ratio is {float(limits[name] / requests[name]):.6f}"


def _text(amount: Any, like: str) -> str:
    return written(amount, like)


def _refuse(kind: str, new: Raw, faults: Iterable[str]) -> None:
    found = list(dict.fromkeys(faults))
    if found:
        raise _forbidden(kind, new, found[0] if len(found) == 1 else f"[{', '.join(found)}]")


def _forbidden(kind: str, new: Raw, why: str) -> ApiError:
    return status.forbidden(kind, new["metadata"].get("name") or new["metadata"].get("generateName", ""), why)


def _bounds(limits: Raw) -> list[Raw]:
    found: list[Raw] = limits.get("spec", {}).get("limits", [])
    return found
