"""Nobody gives away more than they have: who writes a role, or binds one, must hold all that it allows.

Unless they may `escalate` roles, or `bind` the role.
Source: kubernetes/pkg/registry/rbac/{role,rolebinding}/policybased,
pkg/registry/rbac/validation/rule.go.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from labkit.apiserver.access.access import Access
from labkit.apiserver.access.rbac import EVERY_PATH, EVERYTHING, Attributes, covers
from labkit.apiserver.call import Call
from labkit.control import status
from labkit.control.admission import Options

Raw = dict[str, Any]

ROLES = frozenset({"Role", "ClusterRole"})
BINDINGS = frozenset({"RoleBinding", "ClusterRoleBinding"})
GROUP = "rbac.authorization.k8s.io"
TITLES = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "resourceNames": "ResourceNames",
    "nonResourceURLs": "NonResourceURLs",
    "verbs": "Verbs",
}


def check(access: Access, call: Call, new: Raw, old: Raw | None) -> None:
    """Raises Forbidden where the user of the call may not write this role or binding; others pass."""
    kind = call.resource.key
    if kind not in ROLES | BINDINGS:
        return
    new = call.plane.admission.structured(new, Options("Ignore"))
    if kind in ROLES and new.get("rules") and new.get("rules") != (old or {}).get("rules"):
        _demand(access, call, new, "escalate", call.resource.plural, call.route.name, new["rules"])
    if kind in ROLES and new.get("aggregationRule") and new["aggregationRule"] != (old or {}).get("aggregationRule"):
        _demand(access, call, new, "escalate", call.resource.plural, call.route.name, [EVERYTHING, EVERY_PATH])
    if kind in BINDINGS and (old is None or new.get("subjects") != old.get("subjects")):
        kind, name = new["roleRef"]["kind"], new["roleRef"]["name"]
        rules = access.authorizer.role_rules(new["roleRef"], call.route.namespace)
        _demand(access, call, new, "bind", f"{kind.lower()}s", name, rules)


def _demand(
    access: Access, call: Call, new: Raw, verb: str, plural: str, name: str, rules: Sequence[Raw] | None
) -> None:
    user, namespace = call.user, call.route.namespace
    if access.authorizer.decide(user, Attributes(verb, GROUP, plural, "", namespace, name)).allowed:
        return
    if rules is None:
        raise status.not_found(new["roleRef"]["kind"], name)
    mine = access.authorizer.rules(user, namespace)
    missing = [part for rule in rules for part in covers(mine, rule)]
    if missing:
        listed = "\n".join(_shown(part) for part in missing)
        who = f'user "{user.name}" (groups={json.dumps(user.groups, separators=(" ", ""))})'
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n{listed}"
        raise status.forbidden(call.resource, (new.get("metadata") or {}).get("name", ""), why)


def _shown(part: Raw) -> str:
    """A rule as Go prints it."""
    return "{" + ", ".join(f"{title}:{json.dumps(part[name])}" for name, title in TITLES.items() if name in part) + "}"
