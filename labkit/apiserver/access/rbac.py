"""Role-based access control: what a user may do, by the Roles that are bound to them.

    user, groups ── index of subjects ── bindings ── roles ── rules ── one that allows it?

Source: kubernetes/plugin/pkg/auth/authorizer/rbac/rbac.go; pkg/registry/rbac/validation/rule.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from labkit.apiserver.call import User
from labkit.control.store import Store

Raw = dict[str, Any]
MASTERS = "system:masters"


class Attributes(msgspec.Struct, frozen=True):
    """What somebody wants to do: to a resource, or to a `path` that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def qualified(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Decision(msgspec.Struct, frozen=True):
    """`reason` says by which binding it is allowed, or what is wrong with the bindings."""

    allowed: bool
    reason: str = ""


class Authorizer:
    """Decides by the store's Roles, ClusterRoles and their bindings as they are now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.add_index("subject", _subjects, "RoleBinding", "ClusterRoleBinding")

    def decide(self, user: User, wanted: Attributes) -> Decision:
        if MASTERS in user.groups:
            return Decision(True)
        missing: list[str] = []
        for binding, rules in self._granted(user, wanted.namespace, missing):
            if any(allows(rule, wanted) for rule in rules):
                return Decision(True, _granting(binding, user))
        listed = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
        return Decision(False, f"RBAC: {listed}" if missing else "")

    def rules(self, user: User, namespace: str) -> list[Raw]:
        """All rules that hold for a user in a namespace, and everywhere."""
        if MASTERS in user.groups:
            return [EVERYTHING, EVERY_PATH]
        return [rule for _, rules in self._granted(user, namespace, []) for rule in rules]

    def _granted(self, user: User, namespace: str, missing: list[str]) -> Iterator[tuple[Raw, Sequence[Raw]]]:
        """The bindings that name a user, with the rules of their roles; roles that are not there go to `missing`."""
        for subject in _names(user):
            for binding in self._store.indexed("subject", subject):
                within = binding["metadata"].get("namespace", "")
                if within and within != namespace:
                    continue
                rules = self.role_rules(binding["roleRef"], within)
                if rules is None:
                    ref = binding["roleRef"]
                    message = f'{ref["kind"].lower()}.rbac.authorization.k8s.io "{ref["name"]}" not found'
                    missing.append(message)
                else:
                    yield binding, rules

    def role_rules(self, reference: Raw, namespace: str) -> Sequence[Raw] | None:
        """The rules of the role that a binding refers to; None where there is no such role."""
        where = "" if reference["kind"] == "ClusterRole" else namespace
        role = self._store.find(reference["kind"], where, reference["name"])
        return None if role is None else role.get("rules") or ()


EVERYTHING: Raw = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
EVERY_PATH: Raw = {"verbs": ["*"], "nonResourceURLs": ["*"]}


def allows(rule: Raw, wanted: Attributes) -> bool:
    """Whether a rule covers it."""
    if not _has(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        return any(_path_matches(path, wanted.path) for path in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups"), wanted.group)
        and any(_resource_matches(each, wanted) for each in rule.get("resources") or ())
        and (not names or wanted.name in names)
    )


def covers(mine: Iterable[Raw], asked: Raw) -> list[Raw]:
    """The parts of a rule, one verb and resource each, that none of these rules allows: what would be escalation."""
    mine = list(mine)
    return [part for part in _parts(asked) if not any(_includes(rule, part) for rule in mine)]


def _parts(rule: Raw) -> Iterator[Raw]:
    for verb in rule.get("verbs") or ():
        for path in rule.get("nonResourceURLs") or ():
            yield {"verbs": [verb], "nonResourceURLs": [path]}
        for group in rule.get("apiGroups") or ():
            for resource in rule.get("resources") or ():
                part = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
                names = rule.get("resourceNames")
                yield from ({**part, "resourceNames": [name]} for name in names) if names else (part,)


def _includes(rule: Raw, part: Raw) -> bool:
    """Whether a rule allows all of a part."""
    if not _has(rule.get("verbs"), part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return any(_path_matches(path, part["nonResourceURLs"][0]) for path in rule.get("nonResourceURLs") or ())
    resource, _, below = part["resources"][0].partition("/")
    names, wanted = rule.get("resourceNames"), part.get("resourceNames") or [""]
    return (
        _has(rule.get("apiGroups"), part["apiGroups"][0])
        and any(_resource_matches(r, Attributes("", "", resource, below)) for r in rule.get("resources") or ())
        and (not names or wanted[0] in names)
    )


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def _resource_matches(rule: str, wanted: Attributes) -> bool:
    return rule in ("*", wanted.qualified) or (bool(wanted.subresource) and rule == f"*/{wanted.subresource}")


def _path_matches(rule: str, path: str) -> bool:
    return rule in ("*", path) or (rule.endswith("*") and path.startswith(rule.rstrip("*")))


def _names(user: User) -> list[str]:
    return [f"User:{user.name}", *(f"Group:{group}" for group in user.groups)]


def _subjects(raw: Raw) -> Iterator[str]:
    """What a binding binds, as `_names` calls it."""
    for subject in raw.get("subjects") or ():
        if subject["kind"] == "ServiceAccount":
            namespace = subject.get("namespace") or raw["metadata"].get("namespace", "")
            yield f"User:system:serviceaccount:{namespace}:{subject['name']}"
        else:
            yield f"{subject['kind']}:{subject['name']}"


def _granting(binding: Raw, user: User) -> str:
    metadata, ref = binding["metadata"], binding["roleRef"]
    place = f"{metadata['name']}/{metadata['namespace']}" if metadata.get("namespace") else metadata["name"]
    subject = next((s for s in binding["subjects"] if s["name"] in (user.name, *user.groups)), None)
    if subject is None:  # a ServiceAccount, whose user name is longer
        _, _, namespace, name = user.name.split(":")
        who = f'ServiceAccount "{name}/{namespace}"'
    else:
        who = f'{subject["kind"]} "{subject["name"]}"'
    return f'RBAC: allowed by {binding["kind"]} "{place}" of {ref["kind"]} "{ref["name"]}" to {who}'
