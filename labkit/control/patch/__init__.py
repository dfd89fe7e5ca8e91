"""Patches of the three kinds that a client sends: `patched`."""

from __future__ import annotations

from typing import Any, Literal

from labkit.api.schema import Schema
from labkit.control.patch import json_patch, merge_patch, refusals, strategic

__all__ = ["patched"]

Raw = dict[str, Any]


def patched(kind_of_patch: Literal["json", "merge", "strategic"], live: Raw, patch: Any, schema: Schema | None) -> Raw:
    """What a patch makes of an object; `live` stays as it is, and the result may share parts with it.

    schema  of the kind (`labkit.api.schema.definition`), for strategic patches; None for custom kinds, which have none
    Raises `ApiError`: 400 where it is no patch, 413 for too many operations, 415 for a strategic patch without a
    schema, 422 where it cannot be applied. Whether the result is a valid object is for the caller to see.
    """
    try:
        match kind_of_patch:
            case "json":
                return json_patch.patched(live, patch)
            case "merge":
                return merge_patch.patched(live, patch)
            case "strategic":
                if schema is None:
                    raise refusals.unsupported()
                return strategic.patched(live, patch, schema)
    except RecursionError:
        raise refusals.malformed("the patch is nested too deeply") from None
