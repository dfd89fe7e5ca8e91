"""The status of a CustomResourceDefinition: which names it got, whether it is served.

Source: apiextensions-apiserver/pkg/controller/{status/naming_controller,establish/establishing_controller}.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Raw = dict[str, Any]


def established(crd: Raw) -> bool:
    return condition(crd, "Established") == "True"


def condition(crd: Raw, name: str) -> str:
    """The status of a condition; Unknown where it is not there."""
    found = (c["status"] for c in crd.get("status", {}).get("conditions", ()) if c["type"] == name)
    return next(found, "Unknown")


def status(crd: Raw, others: Sequence[Raw], now: str) -> Raw:
    """The status that a definition must have beside the other ones of its group, which keep what names they have.

    A controller's, a pure function of the objects; `now` is when a condition that differs began.
    """
    old: Raw = crd.get("status") or {}
    accepted, fault = _accepted(crd["spec"]["names"], old.get("acceptedNames") or {}, others)
    conditions = list(old.get("conditions") or [])
    reason, message = fault or ("NoConflicts", "no conflicts found")
    _set(conditions, "NamesAccepted", not fault, reason, message, now)
    was = next((c["status"] for c in conditions if c["type"] == "Established"), "")
    if fault and was != "True":
        _set(conditions, "Established", False, "NotAccepted", "not all names are accepted", now)
    elif not fault:
        _set(conditions, "Established", True, "InitialNamesAccepted", "the initial names have been accepted", now)
    stored = list(old.get("storedVersions") or [])
    stored += [v["name"] for v in crd["spec"]["versions"] if v["storage"] and v["name"] not in stored]
    return {**old, "acceptedNames": accepted, "conditions": conditions, "storedVersions": stored}


def terminating(crd: Raw, going: bool, now: str) -> Raw:
    """The status of a definition whose objects are being deleted, or are gone."""
    conditions = list((crd.get("status") or {}).get("conditions") or [])
    if going:
        message = "CustomResource deletion is in progress"
        _set(conditions, "Terminating", True, "InstanceDeletionInProgress", message, now)
    else:
        _set(conditions, "Terminating", False, "InstanceDeletionCompleted", "removed all instances", now)
    return {**(crd.get("status") or {}), "conditions": conditions}


def _accepted(wanted: Raw, mine: Raw, others: Sequence[Raw]) -> tuple[Raw, tuple[str, str] | None]:
    """The names that a definition has from now on, and the last conflict."""
    theirs = [(other.get("status") or {}).get("acceptedNames") or {} for other in others]
    resources = {n for t in theirs for n in (t.get("plural"), t.get("singular"), *(t.get("shortNames") or []))}
    kinds = {n for t in theirs for n in (t.get("kind"), t.get("listKind"))}
    accepted: Raw = {"kind": mine.get("kind", ""), "plural": mine.get("plural", "")}
    accepted |= {name: mine[name] for name in ("singular", "listKind", "shortNames") if mine.get(name)}
    fault = None
    for field, taken in (("plural", resources), ("singular", resources), ("shortNames", resources),
                         ("kind", kinds), ("listKind", kinds)):  # fmt: skip
        value = wanted.get(field)
        asked = value if isinstance(value, list) else [value]
        used = [name for name in asked if name in taken and name not in _listed(mine.get(field))]
        if used:
            texts = [f'"{name}" is already in use' for name in used]
            message = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            fault = f"{field[0].upper()}{field[1:]}Conflict", message
        elif value:
            accepted[field] = value
    if wanted.get("categories"):
        accepted["categories"] = wanted["categories"]
    return accepted, fault


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _set(conditions: list[Raw], name: str, holds: bool, reason: str, message: str, now: str) -> None:
    """Put a condition in its place in the list; its time changes with its status only."""
    value = "True" if holds else "False"
    index = next((i for i, c in enumerate(conditions) if c["type"] == name), len(conditions))
    old = conditions[index] if index < len(conditions) else {}
    since = old["lastTransitionTime"] if old.get("status") == value else now
    conditions[index : index + 1] = [
        {"lastTransitionTime": since, "message": message, "reason": reason, "status": value, "type": name}
    ]
