"""JSON merge patch: what is in the patch is set, a null removes, lists are replaced as a whole (RFC 7396)."""

from __future__ import annotations

from typing import Any

from labkit.control.patch import refusals

Raw = dict[str, Any]


def patched(live: Raw, patch: Any) -> Raw:
    """The object with the patch merged into it. Raises `ApiError` (400) where the patch is no object."""
    if type(patch) is not dict:
        raise refusals.malformed("Invalid JSON Patch")
    return _merged(live, patch)


def _merged(live: Any, patch: Raw) -> Raw:
    merged = {**live} if type(live) is dict else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif type(value) is dict:
            merged[name] = _merged(merged.get(name), value)
        else:
            merged[name] = value
    return merged
