"""Small texts that several kinds' cells share: label sets, selectors, shortened lists, names of containers.

Source: apimachinery/pkg/labels (Set.String, Requirement.String), pkg/apis/meta/v1/helpers.go (FormatLabelSelector);
pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Raw = dict[str, Any]
NONE = "<none>"
UNSET = "<unset>"
SHOWN = 3


def labels(pairs: Mapping[str, str] | None) -> str:
    """A set of labels: "app=web,tier=front", "<none>" for an empty one."""
    return ",".join(f"{key}={pairs[key]}" for key in sorted(pairs)) if pairs else NONE


def selector(written: Raw | None) -> str:
    """A LabelSelector in the language of `kubectl get -l`, by keys in order; empty where it has no condition."""
    if not written:
        return ""
    found = [(key, f"{key}={value}") for key, value in (written.get("matchLabels") or {}).items()]
    for each in written.get("matchExpressions") or ():
        key, values = each["key"], ",".join(sorted(each.get("values") or ()))
        match each["operator"]:
            case "In":
                found.append((key, f"{key} in ({values})"))
            case "NotIn":
                found.append((key, f"{key} notin ({values})"))
            case "Exists":
                found.append((key, key))
            case "DoesNotExist":
                found.append((key, f"!{key}"))
    return ",".join(text for _, text in sorted(found, key=lambda pair: pair[0]))


def selector_or_none(written: Raw | None) -> str:
    return selector(written) or NONE


def shortened(items: Sequence[str], whole: bool = False, empty: str = UNSET) -> str:
    """The first three of a list, and how many more; all of them, in order, where `whole`."""
    if whole:
        return ",".join(sorted(items)) or empty
    text = ",".join(items[:SHOWN])
    return f"{text} + {len(items) - SHOWN} more..." if len(items) > SHOWN else text or empty


def containers(template: Raw | None) -> tuple[str, str]:
    """Names and images of a pod template's containers."""
    listed = ((template or {}).get("spec") or {}).get("containers") or ()
    return ",".join(c.get("name", "") for c in listed), ",".join(c.get("image", "") for c in listed)


def first(texts: Iterable[str | None], otherwise: str = "") -> str:
    """The first text that is not empty."""
    return next((text for text in texts if text), otherwise)


def condition(status: Raw, kind: str) -> Raw | None:
    """The condition of a type in a status."""
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), None)


def holds(status: Raw, kind: str) -> bool:
    found = condition(status, kind)
    return found is not None and found.get("status") == "True"
