"""The API's groups and their versions, in the order in which a server lists them.

Clients take the first group that has a name ("events"), and the first version of a group, so the order is part of
the API. Source: the priorities in pkg/controlplane/apiserver/aggregator.go; custom groups get 1000 each
(controlplane/controller/crdregistration); apimachinery/pkg/version/helpers.go for the order of custom versions.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from labkit.api.kinds import Catalogue
from labkit.api.resources import Resource

PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "metrics.k8s.io": 100,
    "apiregistration.k8s.io": 20000,  # the aggregator's own group comes before all others
}
CUSTOM = 1000
_KUBERNETES_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?", re.ASCII)
_MATURITY = {"alpha": 0, "beta": 1, None: 2}


class Group(msgspec.Struct, frozen=True):
    """A group with its versions, the preferred one first, and each version's resources in order of their names."""

    name: str
    versions: dict[str, tuple[Resource, ...]]

    @property
    def preferred(self) -> str:
        return next(iter(self.versions))

    def api_version(self, version: str) -> str:
        return f"{self.name}/{version}" if self.name else version


def groups(catalogue: Catalogue) -> tuple[Group, ...]:
    """All groups that a server with this catalogue serves; the core group (named "") comes second."""
    return _grouped(catalogue.all())


@lru_cache(maxsize=8)
def _grouped(resources: tuple[Resource, ...]) -> tuple[Group, ...]:
    found: dict[str, dict[str, list[Resource]]] = {}
    for each in resources:
        found.setdefault(each.group, {}).setdefault(each.version, []).append(each)
    names = sorted(found, key=lambda name: (-PRIORITIES.get(name, CUSTOM), name))
    return tuple(
        Group(name, {v: tuple(found[name][v]) for v in sorted(found[name], key=version_rank, reverse=True)})
        for name in names
    )


def version_rank(version: str) -> tuple[int, int, int, tuple[int, ...]]:
    """The rank of a version by its name: v10 over v2 over v11beta2 over v1beta1 over v3alpha1 over any other name.

    Other names rank by the alphabet, a before b.
    """
    match = _KUBERNETES_VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0, (*(-ord(letter) for letter in version), 1))
    major, maturity, minor = match.groups()
    return (_MATURITY[maturity], int(major), int(minor or 0), ())
