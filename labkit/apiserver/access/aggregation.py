"""Aggregated ClusterRoles: their rules are those of the ClusterRoles that they select.

Source: kubernetes/pkg/controller/clusterroleaggregation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.api.selectors import matches
from labkit.control.store import Store
from labkit.control.watch import Event

Raw = dict[str, Any]


class Aggregation:
    """Keeps the rules of aggregated roles. The one key stands for all of them: a role may select another one."""

    name = "clusterrole-aggregation"
    kinds = frozenset({"ClusterRole"})

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, _: Event) -> Iterable[str]:
        return ["all"]

    def reconcile(self, _: str) -> None:
        roles = self._store.list("ClusterRole")
        for role in roles:
            rule = role.get("aggregationRule")
            if rule and (rules := _rules(role, rule, roles)) != (role.get("rules") or []):
                self._store.replace({**role, "rules": rules})


def _rules(role: Raw, rule: Raw, roles: Iterable[Raw]) -> list[Raw]:
    """The rules of all roles that are selected, in the order of their names, each once."""
    name = role["metadata"]["name"]
    found: list[Raw] = []
    for other in roles:
        labels = other["metadata"].get("labels") or {}
        if other["metadata"]["name"] != name and any(
            matches(s, labels) for s in rule.get("clusterRoleSelectors") or ()
        ):
            found += [each for each in other.get("rules") or () if each not in found]
    return found
