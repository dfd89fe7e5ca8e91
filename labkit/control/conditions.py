"""Conditions in a status: one of each type, whose time tells when its status last changed.

Source: apimachinery/pkg/api/meta/conditions.go; those of Deployments also say when they were last updated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from labkit.control.deletion import timestamp
from labkit.control.store import Store, key_of

Raw = dict[str, Any]


def make(kind: str, status: str, reason: str = "", message: str = "") -> Raw:
    texts = {"reason": reason, "message": message}
    return {"type": kind, "status": status, **{name: text for name, text in texts.items() if text}}


def write(store: Store, raw: Raw, *wanted: Raw) -> Raw:
    """Put conditions into the status of a stored object; returns it as it is then."""
    now = timestamp(store.now())

    def change(new: Raw) -> None:
        status = new.setdefault("status", {})
        status["conditions"] = merged(status.get("conditions", ()), wanted, now)

    return store.update(*key_of(raw), change)


def merged(before: Sequence[Raw], wanted: Iterable[Raw], now: str, updated: str = "") -> list[Raw]:
    """The conditions with these in place of those of their types, or behind them; equal ones keep their times.

    updated: the field, if any, that holds the time of the last change of anything but the status.
    """
    found = {each["type"]: each for each in before}
    for each in wanted:
        found[each["type"]] = _timed(found.get(each["type"]), each, now, updated)
    return list(found.values())


def _timed(before: Raw | None, wanted: Raw, now: str, updated: str) -> Raw:
    if before and all(before.get(name) == value for name, value in wanted.items()):
        return before
    kept = before is not None and before["status"] == wanted["status"]
    since = before.get("lastTransitionTime", now) if kept and before else now
    return {**wanted, **({updated: now} if updated else {}), "lastTransitionTime": since}
