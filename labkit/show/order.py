"""The order in which a reader looks for names: numbers in them count as numbers."""

from __future__ import annotations

import re


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Key for sorting: web-2 before web-10, 10.244.1.9 before 10.244.1.10."""
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name))
