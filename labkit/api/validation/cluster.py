"""The remaining kinds with rules of their own: Node, ConfigMap and Secret (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, duplicate, too_long
from labkit.api.validation import syntax

MAX_DATA = 1024 * 1024


def node(obj: dict[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, value in enumerate((obj.get("spec") or {}).get("podCIDRs") or []):
        yield from syntax.checked(f"spec.podCIDRs[{index}]", value, syntax.cidr)
        if value in seen:
            yield duplicate(f"spec.podCIDRs[{index}]", value)
        seen.add(value)


def config_map(obj: dict[str, Any]) -> Iterator[Problem]:
    """Keys become file names, so a ConfigMap's and a Secret's follow one rule."""
    size = 0
    for name in ("data", "binaryData"):
        for key, value in (obj.get(name) or {}).items():
            yield from syntax.checked(f"{name}[{key}]", key, syntax.config_key)
            size += len(value.encode())
    if size > MAX_DATA:
        yield too_long("data", MAX_DATA)
