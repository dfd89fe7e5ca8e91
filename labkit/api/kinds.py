"""The kinds that the lab knows, and the names that people call them by: `svc`, `deployments`, `Deployment`, `ds.apps`.

`resources` lists those that are built in; a `Catalogue` has those of one API server, with its custom ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from labkit.api.problem import Problem, nearest, required
from labkit.api.resources import ALSO_SERVED, COMPUTED, CREATED_ONLY, RBAC, STORED, Resource
from labkit.errors import NotFound

__all__ = ["BY_KIND", "RBAC", "RESOURCES", "Catalogue", "Resource", "problems", "store_kind"]

RESOURCES = STORED
BY_KIND = {r.kind: r for r in RESOURCES}
_ALSO = {(r.api_version, r.kind) for r in ALSO_SERVED}
_GROUPS = {r.group for r in (*STORED, *ALSO_SERVED, *CREATED_ONLY, *COMPUTED)}


class Catalogue:
    """The resources of one API server: those built in, and the custom ones that are added and removed."""

    def __init__(self) -> None:
        self._served: dict[tuple[str, str], Resource] = {}
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._stored: dict[str, Resource] = {}
        self.add((*CREATED_ONLY, *COMPUTED, *ALSO_SERVED, *STORED))

    def add(self, resources: Iterable[Resource]) -> None:
        """Serve these too. The last one of a key is the one that `stored` gives."""
        for each in resources:
            self._served[each.api_version, each.plural] = each
            self._kinds[each.api_version, each.kind] = each
            if each.stored:
                self._stored[each.key] = each

    def keep(self, resource: Resource) -> None:
        """What `stored` gives for its key, served or not."""
        self._stored[resource.key] = resource

    def remove(self, resources: Iterable[Resource]) -> None:
        for each in resources:
            self._served.pop((each.api_version, each.plural), None)
            self._kinds.pop((each.api_version, each.kind), None)
            self._stored.pop(each.key, None)

    def served(self, api_version: str, plural: str) -> Resource | None:
        """The resource at a path: ("apps/v1", "deployments")."""
        return self._served.get((api_version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        return self._kinds.get((api_version, kind))

    def stored(self, key: str) -> Resource:
        """The resource that the store keeps under `key` (`Resource.key`). Raises KeyError."""
        return self._stored[key]

    def named(self, key: str) -> Resource | str:
        """The resource that the store keeps under `key`, or the key itself where there is none (any more)."""
        return self._stored.get(key, key)

    def find(self, name: str) -> Resource:
        """The stored resource that people call `name`: kind, singular, plural or short name, with or without ".group".

        Case does not matter. Where several are called so, the built-in one is meant, then the first by group, as in
        kubectl. Raises `NotFound`, with the nearest name, where there is none.
        """
        plain, _, group = name.lower().partition(".")
        ranked = sorted(self._stored.values(), key=lambda r: (r.custom, r.group))
        meant = [r for r in ranked if plain in (r.singular, r.plural, r.kind.lower())]
        meant += [r for r in ranked if plain in r.short_names]
        for each in meant:
            if group in ("", each.group, f"{each.version}.{each.group}"):
                return each
        near = nearest(plain, (spelt for r in ranked for spelt in (r.singular, r.plural, *r.short_names)))
        known = f"It knows: {', '.join(sorted({r.kind for r in ranked}))}, and what a CRD adds."
        hint = f'Did you mean "{near}"?' if near else known
        raise NotFound(f'the lab has no resource type "{name[:100]}". {hint}', name=name)

    def all(self) -> tuple[Resource, ...]:
        """Everything that is served, in order of group, version and plural."""
        return tuple(sorted(self._served.values(), key=lambda r: (r.group, r.version, r.plural)))


@lru_cache(1024)  # names come from clients
def store_kind(api_version: str, kind: str) -> str:
    """What the store keeps objects of this kind under: `Resource.key`, found without a catalogue."""
    group = api_version.rpartition("/")[0]
    known = BY_KIND.get(kind)
    if known is not None and (known.group == group or any((r.group, r.kind) == (group, kind) for r in ALSO_SERVED)):
        return kind
    return f"{kind}.{group}" if group else kind


def is_foreign(obj: dict[str, Any]) -> bool:
    """Whether the object may be of a custom kind: of a group with a domain that no built-in kind has."""
    version = obj.get("apiVersion")
    group = version.rpartition("/")[0] if isinstance(version, str) else ""
    return "." in group and group not in _GROUPS and isinstance(obj.get("kind"), str)


def problems(obj: dict[str, Any]) -> list[Problem]:
    """What is wrong with `apiVersion` and `kind`; none of it means that the schema has this kind."""
    version, kind = obj.get("apiVersion"), obj.get("kind")
    found = []
    if not isinstance(version, str) or not version:
        known = BY_KIND.get(kind) if isinstance(kind, str) else None
        found.append(required("apiVersion", remedy=f"Add apiVersion: {known.api_version if known else 'v1'}."))
    if not isinstance(kind, str) or not kind:
        found.append(required("kind", remedy="Add the kind of the object, such as kind: Service."))
    if found or not isinstance(version, str) or not isinstance(kind, str):
        return found
    known = BY_KIND.get(kind)
    if known is None:
        meant = nearest(kind, BY_KIND)
        hint = f'Did you mean "{meant}"?' if meant else f"The lab knows: {', '.join(sorted(BY_KIND))}."
        found.append(Problem("kind", _no_match(kind, version), hint, "FieldValueNotSupported"))
    elif known.api_version != version and (version, kind) not in _ALSO:
        hint = f"{kind} is served as {known.api_version} now: write apiVersion: {known.api_version}."
        found.append(Problem("apiVersion", _no_match(kind, version), hint, "FieldValueNotSupported"))
    return found


def _no_match(kind: str, version: str) -> str:
    return f'no matches for kind "{kind[:100]}" in version "{version[:100]}"'
