"""The refusal of an apply: fields that others own, and that would change.

Source: apimachinery/pkg/util/managedfields/internal/conflict.go; api/errors.NewApplyConflict.
"""

from __future__ import annotations

from labkit.control.fields.managers import UPDATE, Identity
from labkit.control.fields.tree import Tree, paths
from labkit.control.status import refusal
from labkit.errors import ApiError

CAUSE = "FieldManagerConflict"


def conflict(conflicts: dict[Identity, Tree]) -> ApiError:
    """409 with a cause for each field."""
    by_name = sorted(conflicts.items(), key=lambda item: (item[0].manager, item[0]))
    found = [(_shown(who), path) for who, tree in by_name for path in paths(tree)]
    causes = [{"reason": CAUSE, "message": f"conflict with {who}", "field": path} for who, path in found]
    return refusal(409, "Conflict", _message(found), causes=causes)


def _message(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        who, path = found[0]
        return f"Apply failed with 1 conflict: conflict with {who}: {path}"
    lines = []
    for name in sorted({who for who, _ in found}):
        lines.append(f"conflicts with {name}:")
        lines += [f"- {path}" for who, path in found if who == name]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def _shown(who: Identity) -> str:
    text = f'"{who.manager}"'
    if who.subresource:
        text += f' with subresource "{who.subresource}"'
    return f"{text} using {who.api_version}" if who.operation == UPDATE else text
