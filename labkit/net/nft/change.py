r"""From what a table holds to what it should hold. Pure.

Holding (before) --+
                   +--> Change: what to make, to rewrite, to put, to take away
Holding (after) ---+
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from labkit.net.nft.table import Chain, Element, Key, NamedSet

Place = tuple[str, Key]
"""An element's set and key."""


class Holding(msgspec.Struct, frozen=True):
    """Chains and sets by name, elements by their place. `chains` may have, instead of a chain, what tells it."""

    chains: Mapping[str, Any] = {}
    sets: Mapping[str, NamedSet] = {}
    elements: Mapping[Place, Element] = {}


class Change(msgspec.Struct, frozen=True):
    """What leads from one holding to another.

    chains, rewritten  to make, and to fill anew
    put                elements to make; one that is also in `taken` replaces another
    """

    sets: tuple[NamedSet, ...] = ()
    chains: tuple[Chain, ...] = ()
    rewritten: tuple[Chain, ...] = ()
    put: Mapping[Place, Element] = {}
    taken: frozenset[Place] = frozenset()
    stale_chains: tuple[str, ...] = ()
    stale_sets: tuple[str, ...] = ()


def between(before: Holding, after: Holding, tell: Callable[[Chain], object] = lambda chain: chain) -> Change:
    """The change from one holding to the other. `tell`: what `before` has for a chain like this one.

    A set whose definition differs is not told apart: nf_tables cannot alter one.
    """
    old, new = before.elements, after.elements
    return Change(
        sets=tuple(one for name, one in after.sets.items() if name not in before.sets),
        chains=tuple(chain for name, chain in after.chains.items() if name not in before.chains),
        rewritten=tuple(
            chain
            for name, chain in after.chains.items()
            if name in before.chains and before.chains[name] != tell(chain)
        ),
        put={place: element for place, element in new.items() if old.get(place) != element},
        taken=frozenset(place for place, element in old.items() if new.get(place) != element),
        stale_chains=tuple(name for name in before.chains if name not in after.chains),
        stale_sets=tuple(name for name in before.sets if name not in after.sets),
    )
