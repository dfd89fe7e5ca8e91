"""Writes a mode's iptables rules to one node: only the edits, as long as it is known what the node has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.net.rules import Family, Ruleset, parse
from labkit.proxy.restore import diff, own_part


class RuleWriter:
    """For the network namespace at `path`.

    own    whether a chain of this name belongs to the mode
    fresh  the node has none of them yet, so that it need not be asked first
    """

    def __init__(
        self, path: str, variant: Variant, family: Family, own: Callable[[str], bool], fresh: bool = False
    ) -> None:
        self.batch = variant.batch
        self._path = path
        self._variant = variant
        self._family = family
        self._own = own
        self._fresh = fresh
        self._known = False

    async def write(
        self, edits: Iterable[str], desired: Ruleset | Callable[[], Ruleset], everything: bool = False
    ) -> str:
        """Apply the edits that lead to the desired rules, the first ones from nothing; with `everything`, or where it
        is not known what the node has, what is different there instead. Returns what was applied. Raises `RuleError`;
        the next call then looks.

        edits: restore text in parts, all of them taken; the first ones are applied while the next are made
        """
        exact, self._known = self._fresh or (self._known and not everything), False  # unknown while it changes
        self._fresh = False
        if not exact:
            for _ in edits:
                pass
            edits = [diff(await self._found(), desired() if callable(desired) else desired, self.batch)]
        text = await iptables.apply(self._path, edits, self._variant, self._family)
        self._known = True
        return text

    async def _found(self) -> Ruleset:
        saved = await asyncio.to_thread(iptables.save, self._path, self._variant, "", self._family)
        return own_part(parse(saved, self._family), self._own)
