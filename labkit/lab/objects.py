"""The objects of a lab by the names that people call them: "svc/web", "gateways". What a kind is, the lab says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from labkit.api.problem import nearest
from labkit.api.resources import Resource
from labkit.errors import ApiError, NotFound
from labkit.lab.tables import Layout

Raw = dict[str, Any]
FORM = 'write kind/name, such as "deployment/web"'
SHOWN = 8  # names in a remedy


class Objects:
    """`call` asks the lab."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def ask(self, method: str, what: str, namespace: str, **more: Any) -> Any:
        """Let the lab do something with one object. `NotFound` for a name that names none, or a kind that is none;
        an `ApiError` says what there is instead.
        """
        kind, slash, name = what.partition("/")
        if not slash or not name:
            raise NotFound(f"{what!r} names no object: {FORM}")
        resource = self.resource(kind)[0]
        try:
            return self._call(method, kind=resource.key, namespace=namespace, name=name, **more)
        except ApiError as error:
            if error.details["status"]["reason"] != "NotFound":
                raise
            there = [_place(raw) for raw in self._call("list", kind=resource.key, namespace=None)]
            remedy = instead(name, namespace if resource.namespaced else "", there)
            raise ApiError(f"{error.message}. {remedy}", **error.details) from None

    def resource(self, kind: str) -> tuple[Resource, list[Raw]]:
        """What people call so, and its additionalPrinterColumns. Raises `NotFound`, with the nearest name."""
        found = self._call("resource", name=kind)
        return msgspec.convert(found["resource"], Resource), found["columns"]

    def layout(self, kind: str, namespace: str | None, labels: Sequence[str]) -> tuple[Layout, str | None]:
        """How the objects of a kind are listed, and the namespace that they are in: None for all, or none."""
        resource, columns = self.resource(kind)
        within = namespace if resource.namespaced else None
        return Layout(resource, resource.namespaced and namespace is None, labels, columns), within

    def listed(self, resource: Resource, namespace: str | None) -> list[Raw]:
        value: list[Raw] = self._call("list", kind=resource.key, namespace=namespace)
        return value


def instead(name: str, namespace: str, there: Sequence[tuple[str, str]]) -> str:
    """What there is instead of an object that is not: one of that name elsewhere, one that is nearly called so, others.

    namespace  empty for a kind that lives in none
    there      namespace and name of all objects of the kind
    """
    if elsewhere := [space for space, other in there if other == name]:
        return f"There is one in namespace {elsewhere[0]}: say namespace={elsewhere[0]!r}."
    here = [other for space, other in there if space == namespace]
    within = f" in namespace {namespace}" if namespace else ""
    if not here:
        return f"There are none{within}."
    if near := nearest(name, here):
        return f'Did you mean "{near}"?'
    rest = f" and {len(here) - SHOWN} more" if len(here) > SHOWN else ""
    return f"There are{within}: {', '.join(here[:SHOWN])}{rest}."


def _place(raw: Raw) -> tuple[str, str]:
    return raw["metadata"].get("namespace", ""), raw["metadata"]["name"]
