"""Which objects a list or watch is about: label selector and field selector, and the fields that each kind has. Pure.

Source: apimachinery/pkg/fields/selector.go; the field label conversions of pkg/apis/*/v1/conversion.go and the
`ToSelectableFields` of pkg/registry/*/strategy.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from labkit.api import selectors
from labkit.api.resources import Resource
from labkit.control import status
from labkit.errors import ManifestError

Raw = dict[str, Any]
Selects = Callable[[Raw], bool]

INVOLVED = tuple(
    f"involvedObject.{name}"
    for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
REGARDING = tuple(name.replace("involvedObject", "regarding") for name in INVOLVED)
FIELDS: dict[str, tuple[str, ...]] = {
    "CronJob": (),
    "Event": (*INVOLVED, *REGARDING, "reason", "reportingComponent", "reportingController", "source", "type"),
    "Job": ("status.successful",),
    "Namespace": ("name", "status.phase"),
    "Node": ("spec.unschedulable",),
    "PersistentVolume": ("name",),
    "PersistentVolumeClaim": ("name",),
    "Pod": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
    ),
    "ReplicaSet": ("status.replicas",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
}  # fmt: skip
"""Beside metadata.name and metadata.namespace, which every kind has."""
PLACES = {"name": "metadata.name", "status.successful": "status.succeeded", "reportingController": "reportingComponent"}
ABSENT = {"status.successful": "0", "status.replicas": "0", "spec.unschedulable": "false", "spec.hostNetwork": "false"}


class Condition(msgspec.Struct, frozen=True):
    """`field` is, or is not, `value`."""

    field: str
    value: str
    same: bool


def parse_fields(text: str) -> tuple[Condition, ...]:
    """A field selector: "a=b,c!=d", with backslashes before commas, signs and backslashes of a value.

    Raises BadRequest.
    """
    return tuple(_condition(term) for term in _terms(text) if term)


@lru_cache(maxsize=256)
def selects(resource: Resource, labels: str, fields: str, custom: tuple[str, ...] = ()) -> Selects:
    """The test for both selectors. `custom` are the selectable fields of a custom resource. Raises BadRequest."""
    try:
        required = selectors.parse(labels)
    except ManifestError as error:
        raise status.bad_request(error.message) from None
    conditions = parse_fields(fields)
    known = {"metadata.name", "metadata.namespace", *FIELDS.get(resource.key, ()), *custom}
    for condition in conditions:
        if condition.field not in known:
            version = f"{resource.group}/{resource.version}"
            raise status.bad_request(
                f'Unable to find "{version}, Resource={resource.plural}" that match label selector "{labels}", '
                f'field selector "{fields}": field label not supported: {condition.field}'
            )

    def test(raw: Raw) -> bool:
        metadata = raw["metadata"]
        if required and not selectors.matches(required, metadata.get("labels") or {}):
            return False
        return all((field(raw, c.field) == c.value) is c.same for c in conditions)

    return test


def single_name(fields: str) -> str:
    """The name that a field selector asks for, where it asks for one."""
    names = [c.value for c in parse_fields(fields) if c.field == "metadata.name" and c.same]
    return names[0] if len(names) == 1 else ""


def field(raw: Raw, path: str) -> str:
    """A selectable field of an object as text."""
    if path == "source" and raw["kind"] == "Event":
        return str(raw.get("source", {}).get("component") or raw.get("reportingComponent", ""))
    where = PLACES.get(path, path).replace("regarding.", "involvedObject.")
    value: Any = raw
    for name in where.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return ABSENT.get(path, "")
    if path == "status.podIPs":
        return ",".join(str(each.get("ip", "")) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _terms(text: str) -> Iterator[str]:
    """The parts between commas that no backslash precedes."""
    start, index = 0, 0
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == ",":
            yield text[start:index]
            start = index + 1
        index += 1
    yield text[start:]


def _condition(term: str) -> Condition:
    for index in range(len(term)):
        for sign in ("!=", "==", "="):
            if term.startswith(sign, index):
                value = term[index + len(sign) :]
                return Condition(term[:index], _plain(value, term), sign != "!=")
    raise status.bad_request(f"invalid selector: '{term}'; can't understand '{term}'")


def _plain(value: str, term: str) -> str:
    """The value without its backslashes."""
    letters = iter(value)
    found = []
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            if escaped not in ("\\", ",", "="):
                raise status.bad_request(f"invalid field selector: invalid escape sequence in '{term}'")
            found.append(escaped)
        elif letter in ",=":
            raise status.bad_request(f"invalid field selector: unescaped character in '{term}'")
        else:
            found.append(letter)
    return "".join(found)
