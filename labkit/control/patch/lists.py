"""The order of lists that were merged: that of the patch for its items, that of the server for the others.

Source: apimachinery/pkg/util/strategicpatch/patch.go (normalizeElementOrder, mergeSortedSlice).
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.control.patch import refusals


def identity(item: Any, key: str) -> Any:
    """What tells an item from others: itself, or the value of its merge key (None: has none)."""
    value = item.get(key) if key and type(item) is dict else item
    return value if type(value) in (str, int, type(None)) else msgspec.json.encode(value)


def ordered(merged: list[Any], order: list[Any], original: list[Any], key: str) -> list[Any]:
    """The items of a merged list. order: that of the patch; original: that of the server."""
    wanted = _places(order, key)
    server = _places(original, key)
    ours = [item for item in merged if identity(item, key) in wanted]
    ours.sort(key=lambda item: wanted[identity(item, key)])
    others = [item for item in merged if identity(item, key) not in wanted]
    result: list[Any] = []
    i = j = 0
    while i < len(others) and j < len(ours):
        left, right = server.get(identity(others[i], key)), server.get(identity(ours[j], key))
        if left is not None and right is not None and left < right:
            result.append(others[i])
            i += 1
        else:
            result.append(ours[j])
            j += 1
    return result + others[i:] + ours[j:]


def check_order(patch: list[Any], order: Any, key: str) -> list[Any]:
    """A `$setElementOrder` list, which must have the patch's items in their order. Raises `ApiError`."""
    if type(order) is not list:
        raise refusals.malformed("invalid patch format of setElementOrder list")
    ahead = iter(order)
    for item in patch:
        if type(item) is dict and item.get("$patch") == "delete":
            continue
        if not any(identity(place, key) == identity(item, key) for place in ahead):
            raise refusals.wrong_order(patch, order)
    return order


def _places(items: list[Any], key: str) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for place, item in enumerate(items):
        places.setdefault(identity(item, key), place)
    return places
