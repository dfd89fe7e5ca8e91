"""The rules of a node put together from the pieces of its Service ports, so that a change costs what it changes.

Only a chain in which many ports have rules is gone through as a whole, and only when a rule of it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

from labkit.net.rules import Rule, Ruleset, ruleset
from labkit.proxy.config import ProxyConfig
from labkit.proxy.iptables.plan import SHARED, Tables, commented, frame, joined, last, piece
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey

Chains = dict[str, tuple[Rule, ...]]
Moved = Mapping[str, tuple[Chains, Chains]]
"""Table -> the chains that differ: as they were, and as they are."""


class Assembly:
    """What `plan` says of the last view."""

    def __init__(self, config: ProxyConfig) -> None:
        self._config = config
        self._frame: Tables = {}
        self._last: Tables = {}
        self._pieces: dict[PortKey, Tables] = {}
        self._keys: list[PortKey] = []
        self._commented = True

    @staticmethod
    def nothing(config: ProxyConfig) -> Ruleset:
        """A node without kube-proxy."""
        return ruleset({table: {} for table in frame(config)}, config.family)

    def ruleset(self) -> Ruleset:
        pieces = (self._pieces[key] for key in self._keys)
        return ruleset(joined(self._frame, pieces, self._last), self._config.family)

    def update(self, view: View, changed: Set[PortKey] | None) -> Moved | None:
        """Follow the view; `changed` as for `Mode.sync`. None where so much changed that all is to be compared."""
        end = last(view, self._config)
        whole = changed is None or (commented(view), end) != (self._commented, self._last)
        if whole:
            changed = view.ports.keys() | self._pieces.keys()
        before = {key: self._pieces.pop(key, {}) for key in changed or ()}
        after = {key: piece(view.ports[key], view, self._config) if key in view.ports else {} for key in before}
        earlier = self._keys
        self._frame = self._frame or frame(self._config)
        self._commented, self._last, self._keys = commented(view), end, list(view.keys)
        self._pieces.update((key, part) for key, part in after.items() if key in view.ports)
        return None if whole else self._moved((before, after), (earlier, self._keys))

    def _moved(
        self, parts: tuple[dict[PortKey, Tables], dict[PortKey, Tables]], keys: tuple[list[PortKey], list[PortKey]]
    ) -> Moved:
        before, after = parts
        moved: dict[str, tuple[Chains, Chains]] = {t: ({}, {}) for t in self._frame}
        for which in (0, 1):
            for table, chains in joined(parts[which].values()).items():
                moved[table][which].update({c: _rules(r) for c, r in chains.items() if (table, c) not in SHARED})
        for table, chain in SHARED:
            if any(_texts(before[key], table, chain) != _texts(after[key], table, chain) for key in before):
                for which in (0, 1):
                    moved[table][which][chain] = self._shared(table, chain, keys[which], parts[which])
        return moved

    def _shared(
        self, table: str, chain: str, keys: Iterable[PortKey], instead: Mapping[PortKey, Tables]
    ) -> tuple[Rule, ...]:
        """A chain of many ports, with some of their pieces as given."""
        pieces, texts = self._pieces, list(_texts(self._frame, table, chain))
        for key in keys:
            texts += _texts(instead[key] if key in instead else pieces[key], table, chain)
        return _rules([*texts, *_texts(self._last, table, chain)])


def _texts(tables: Tables, table: str, chain: str) -> list[str]:
    return tables.get(table, {}).get(chain, [])


def _rules(texts: Iterable[str]) -> tuple[Rule, ...]:
    return tuple(map(Rule, texts))
