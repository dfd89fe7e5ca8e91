"""A protobuf message as JSON has it: its fields by number."""

from __future__ import annotations

from typing import Literal

import msgspec


class Field(msgspec.Struct, frozen=True, array_like=True):
    """A field: `kind` is a scalar's type, a well-known type, or a message's short name ("core.v1.PodSpec").

    way   "inline": the message's fields are those of the one that holds it
    keep  a zero is a value of its own; else it means that the field is absent
    """

    name: str
    kind: str
    way: Literal["one", "list", "map", "inline"]
    keep: bool


Message = dict[int, Field]
