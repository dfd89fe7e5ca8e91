"""Counters, gauges and histograms as Prometheus reads them. Plain values, no registry of a process.

Source: Prometheus' text format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

Labels = tuple[tuple[str, str], ...]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"


class Values:
    """A counter or gauge: one number for each set of labels."""

    def __init__(self, kind: str, name: str, about: str) -> None:
        self.kind, self.name, self.about = kind, name, about
        self._values: dict[Labels, float] = {}

    def add(self, by: float = 1, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        self._values[key] = self._values.get(key, 0) + by

    def set(self, value: float, **labels: str) -> None:
        self._values[tuple(sorted(labels.items()))] = value

    def get(self, **labels: str) -> float:
        return self._values.get(tuple(sorted(labels.items())), 0)

    def lines(self) -> Iterator[str]:
        for labels, value in sorted(self._values.items()):
            yield f"{self.name}{written(labels)} {number(value)}"


class Histogram:
    """How often which size came, for each set of labels. `bounds`: upper bounds of its buckets, rising."""

    kind = "histogram"

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self.name, self.about = name, about
        self._bounds = bounds
        self._seen: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def observe(self, value: float, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        seen = self._seen.setdefault(key, [0] * (len(self._bounds) + 1))
        seen[bisect_left(self._bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    def count(self, **labels: str) -> int:
        return sum(self._seen.get(tuple(sorted(labels.items())), ()))

    def lines(self) -> Iterator[str]:
        for labels, seen in sorted(self._seen.items()):
            total = 0
            for bound, n in zip([*self._bounds, float("inf")], seen, strict=True):
                total += n
                yield f"{self.name}_bucket{written((*labels, ('le', number(bound))))} {total}"
            yield f"{self.name}_sum{written(labels)} {number(self._sums[labels])}"
            yield f"{self.name}_count{written(labels)} {total}"


def text(metrics: Iterable[Values | Histogram]) -> str:
    """All that have a value, by name."""
    lines: list[str] = []
    for metric in sorted(metrics, key=lambda m: m.name):
        if own := list(metric.lines()):
            lines += [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.kind}", *own]
    return "".join(f"{line}\n" for line in lines)


def written(labels: Labels | Mapping[str, str]) -> str:
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}" if pairs else ""


def number(value: float) -> str:
    """The shortest form that is the same number: `3`, `0.25`, `+Inf`."""
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def exponential(start: float, factor: float, count: int) -> tuple[float, ...]:
    return tuple(start * factor**i for i in range(count))


def linear(start: float, width: float, count: int) -> tuple[float, ...]:
    return tuple(start + width * i for i in range(count))


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
