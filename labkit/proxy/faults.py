"""Which Service ports a node refuses, so that one of them keeps none of the others from being served.

all of them ── refused ──> without those suspected ──> halves of the suspects, until each is taken or found out
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Set
from typing import Any

from msgspec.structs import replace

from labkit.errors import RuleError
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey

Sync = Callable[[View, "Set[PortKey] | None"], Awaitable[str]]


def without(view: View, left_out: Collection[PortKey]) -> View:
    """The view as if it had not these ports."""
    if not left_out:
        return view
    ports = {key: port for key, port in view.ports.items() if key not in left_out}
    total = sum(len(port.backends) for port in ports.values())
    return replace(view, ports=ports, keys=[key for key in view.keys if key not in left_out], total=total)


def named(error: RuleError, ports: Iterable[PortKey]) -> list[PortKey]:
    """The ports that the refused line names in its comment."""
    line = f"{error.details.get('text', '')} {error.message}"
    return [key for key in ports if f'"{key[0]} ' in line or f'"{key[0]}"' in line]


async def find(sync: Sync, view: View, changed: Set[PortKey] | None, error: RuleError) -> dict[PortKey, RuleError]:
    """The ports that are refused, each with its own error; all others are in force. `error`: that of a sync of all.

    Raises `RuleError` where the node refuses even what has nothing to do with them.
    """
    suspects = named(error, view.keys) or sorted(set(view.keys) & changed if changed else view.keys)
    try:
        await sync(without(view, suspects), None)
    except RuleError:
        if len(suspects) == len(view.keys):
            raise
        suspects = list(view.keys)
        await sync(without(view, suspects), None)
    refused: dict[PortKey, RuleError] = {}
    left = set(suspects)
    await _among(sync, view, suspects, left, refused)
    return refused


async def _among(
    sync: Sync, view: View, suspects: list[PortKey], left: set[PortKey], refused: dict[PortKey, Any]
) -> None:
    """Take these suspects if the node does, else look at halves. `left`: those that are still left out."""
    if not suspects:
        return
    try:
        await sync(without(view, left - set(suspects)), None)
    except RuleError as error:
        if len(suspects) == 1:
            refused[suspects[0]] = error
            return
        middle = len(suspects) // 2
        await _among(sync, view, suspects[:middle], left, refused)
        await _among(sync, view, suspects[middle:], left, refused)
    else:
        left -= set(suspects)


def reasons(refused: Mapping[PortKey, RuleError]) -> dict[str, str]:
    """Port -> what the node said, as people read it."""
    return {f"{name}/{protocol}": error.message for (name, protocol), error in sorted(refused.items())}
