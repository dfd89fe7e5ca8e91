"""What a printer is: the columns of a kind's table, and the function that fills a row.

Descriptions are the API's own sentences: a column names the field whose description it bears, and `descriptions.json`
(made by `reduce_descriptions`) holds those sentences; or it has a text of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

Raw = dict[str, Any]
FILE = Path(__file__).with_name("descriptions.json")


class View(msgspec.Struct, frozen=True):
    """now: seconds since 1970, for ages. whole: lists of addresses are written out, in order."""

    now: float
    whole: bool = False


class Column(msgspec.Struct, frozen=True):
    """A column; `of` is the described field ("core.v1.PodStatus.podIP"), `wide` one that `-o wide` shows."""

    name: str
    of: str = ""
    text: str = ""
    type: str = "string"
    format: str = ""
    wide: bool = False

    def definition(self) -> Raw:
        """A TableColumnDefinition of meta.k8s.io/v1."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.text or descriptions()[self.of],
            "priority": int(self.wide),
        }


class Printer(msgspec.Struct, frozen=True):
    """A table's columns and its rows: `cells` gives as many values as there are columns.

    conditions  what a row says of its object besides, by the phase in the object's status
    """

    columns: tuple[Column, ...]
    cells: Callable[[Raw, View], list[Any]]
    conditions: Mapping[str, Raw] = {}


@cache
def descriptions() -> dict[str, str]:
    """The sentences by field."""
    found: dict[str, str] = msgspec.json.decode(FILE.read_bytes())
    return found


def wide(name: str, of: str = "", text: str = "", type: str = "string") -> Column:  # noqa: A002  as in the API
    return Column(name, of, text, type, wide=True)


NAME = Column("Name", "meta.v1.ObjectMeta.name", format="name")
AGE = Column("Age", "meta.v1.ObjectMeta.creationTimestamp")
CONTAINERS = wide("Containers", text="Names of each container in the template.")
IMAGES = wide("Images", text="Images referenced by each container in the template.")
