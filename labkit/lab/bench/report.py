"""What was measured, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """What is measured: its name, the key of its measurement, and the factor to the unit.

    beside, bare  what stands beside it, and the key of that; both empty where nothing does
    """

    name: str
    key: str
    scale: float
    unit: str
    beside: str = ""
    bare: str = ""
    target: str = ""


@dataclass(frozen=True)
class Figure:
    """One measurement: median over the rounds, the target, and the ratio to what was measured beside it."""

    name: str
    value: float
    unit: str
    target: str = ""
    beside: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class Report:
    figures: tuple[Figure, ...]

    def __str__(self) -> str:
        width = max(len(f.name) for f in self.figures)
        lines = [f"{'':{width}} {'measured':>14}  {'target':>9}  beside"]
        for f in self.figures:
            beside = f"{f.ratio:.2f} x {f.beside}" if f.ratio is not None else f.beside
            lines.append(f"{f.name:{width}} {f.value:10.2f} {f.unit:3}  {f.target:>9}  {beside}".rstrip())
        return "\n".join(lines)

    def as_json(self) -> str:
        return json.dumps([asdict(f) for f in self.figures], indent=1)


def figure(row: Row, measured: Mapping[str, float], missing: str = "") -> Figure:
    """A row with its measurements; `missing` says why what should stand beside it was not measured."""
    value = measured[row.key]
    if row.bare and row.bare not in measured:
        return Figure(row.name, value * row.scale, row.unit, row.target, missing)
    ratio = value / measured[row.bare] if row.bare else None
    return Figure(row.name, value * row.scale, row.unit, row.target, row.beside, ratio)
