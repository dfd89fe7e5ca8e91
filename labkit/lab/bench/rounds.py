"""Rounds of a measurement, each from a fresh interpreter, as a notebook is one."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable


def medians(module: str, rounds: int, *arguments: str) -> dict[str, float]:
    """The median of each figure that `measure(*arguments)` of a module here gives."""
    found: dict[str, list[float]] = {}
    code = f"from labkit.lab.bench import {module}, rounds; rounds.told({module}.measure, {arguments!r})"
    for _ in range(rounds):
        done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
        for name, value in json.loads(done.stdout).items():
            found.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def told(measure: Callable[..., dict[str, float]], arguments: tuple[str, ...]) -> None:
    """Print what was measured as JSON, for the process that began the round."""
    sys.stdout.write(json.dumps(measure(*arguments)))
