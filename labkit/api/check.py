"""Everything that the API server would say about an object on its way in: shape, then sense."""

from __future__ import annotations

import copy
from typing import Any

from labkit.api import convert, kinds, schema, validation
from labkit.api.defaults import default
from labkit.api.problem import TYPE_INVALID, Problem, steps


def problems(obj: dict[str, Any]) -> list[Problem]:
    """The structural faults of an object, and the semantic ones of what it is after defaulting.

    The semantic check relies on types, so it sees the object without the fields whose type is wrong; what it says
    about those fields, or about anything that holds them, is left out. An unknown kind is checked no further; of one
    that may be custom only the metadata is: its definition says the rest.
    """
    if kinds.is_foreign(obj):
        return schema.metadata_problems(obj)
    found = schema.problems(obj)
    mistyped = [p.field for p in found if p.reason == TYPE_INVALID]
    if len(found) >= schema.MAX_PROBLEMS or any(p.field in ("kind", "apiVersion") for p in found):
        return found
    typed = obj
    if mistyped:
        typed = _without(obj, mistyped)
        if any(p.reason == TYPE_INVALID for p in schema.problems(typed)):
            return found  # a key that looks like a path hid the field
    known = {(p.field, p.reason) for p in found}
    return found + [
        p
        for p in validation.problems(default(convert.to_stored(typed)))
        if (p.field, p.reason) not in known and not any(field.startswith(p.field) for field in mistyped)
    ]


def _without(obj: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """A copy without these fields; for an item of a list, without the list."""
    reduced = copy.deepcopy(obj)
    for field in fields:
        value: Any = reduced
        holder, last = reduced, ""
        for step in steps(field):
            if isinstance(value, dict):
                holder, last = value, step
                value = value.get(step)
            elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
        holder.pop(last, None)
    return reduced
