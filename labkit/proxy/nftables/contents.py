"""What the parts of all Service ports come to, kept port by port, so that one that changes costs no more among many.

Two ports may want the same element: the ports of a Service share its cluster IP, and two Services may claim one
external IP and port. The claim of the first port by name holds; when it goes, the next one's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.net.nft import Chain, Element, NamedSet
from labkit.net.nft.change import Change, Holding, Place, between
from labkit.proxy.model import PortKey
from labkit.proxy.nftables.part import Part


class Contents:
    """`parts` is what is known; change it by `update` only."""

    def __init__(self, parts: Mapping[PortKey, Part | None] | None = None) -> None:
        self.parts: dict[PortKey, Part] = {}
        self._claims: dict[Place, dict[PortKey, Element]] = {}
        for key, part in (parts or {}).items():
            if part:
                self._take(key, part)

    def update(self, parts: Mapping[PortKey, Part | None]) -> Change:
        """Take ports as they are now, None for one that is gone; returns what changes in the table."""
        old = [part for key in parts if (part := self.parts.get(key))]
        new = [part for part in parts.values() if part]
        places = dict.fromkeys(place for part in (*old, *new) for place in part.elements)
        before = Holding(_chains(old), _sets(old), self._at(places))
        for key, part in parts.items():
            self._leave(key)
            if part:
                self._take(key, part)
        return between(before, Holding(_chains(new), _sets(new), self._at(places)))

    def holding(self) -> Holding:
        """Everything."""
        ordered = [self.parts[key] for key in sorted(self.parts)]
        return Holding(_chains(ordered), _sets(ordered), self._at(self._claims))

    def _at(self, places: Iterable[Place]) -> dict[Place, Element]:
        return {place: claims[min(claims)] for place in places if (claims := self._claims.get(place))}

    def _take(self, key: PortKey, part: Part) -> None:
        self.parts[key] = part
        for place, element in part.elements.items():
            self._claims.setdefault(place, {})[key] = element

    def _leave(self, key: PortKey) -> None:
        if part := self.parts.pop(key, None):
            for place in part.elements:
                del self._claims[place][key]
                if not self._claims[place]:
                    del self._claims[place]


def _chains(parts: Iterable[Part]) -> dict[str, Chain]:
    return {chain.name: chain for part in parts for chain in part.chains}


def _sets(parts: Iterable[Part]) -> dict[str, NamedSet]:
    return {one.name: one for part in parts for one in part.sets}
