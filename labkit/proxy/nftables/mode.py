"""kube-proxy's nftables mode on one node: the table `kube-proxy`, changed piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Set

from labkit.errors import NetlinkError, RuleError
from labkit.net.nft import NftFamily, Table
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey
from labkit.proxy.nftables.contents import Contents
from labkit.proxy.nftables.kernel_table import KernelTable
from labkit.proxy.nftables.names import TABLE
from labkit.proxy.nftables.part import Part, without_affinity
from labkit.proxy.nftables.plan import frame_of, joined, part_of


class NftablesMode:
    """Keeps the table of the network namespace at `path`. `most`: bytes of a transaction, if fewer than possible."""

    def __init__(self, path: str, config: ProxyConfig = DEFAULT, most: int = 0) -> None:
        self.path = path
        self.config = config
        family: NftFamily = "ip6" if config.family == "IPv6" else "ip"
        self._kernel = KernelTable(path, family, most)
        self._nothing = Table(family, TABLE)
        self._frame = self._nothing
        self._contents = Contents()
        self._known = False  # whether the kernel has what is planned

    @property
    def plan(self) -> Table:
        return joined(self._frame, self._contents.holding())

    async def start(self) -> None:
        """Nothing to prepare: NodePorts on localhost, which need a setting, do not exist in this mode."""

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        frame = frame_of(view, self.config)
        known, self._known = self._known, False  # unknown while it changes, and after a failure
        if changed is not None and known and frame == self._frame:
            text = await self._some({key: self._part(view, key) for key in changed})
        else:
            self._frame = frame
            self._contents = Contents({key: self._part(view, key) for key in view.keys})
            text = await self._whole()
        self._known = True
        return text

    async def stop(self) -> None:
        """Delete the table, in which nobody else has a part."""
        await asyncio.to_thread(self._kernel.remove)
        self._frame, self._contents, self._known = self._nothing, Contents(), False

    def _part(self, view: View, key: PortKey) -> Part | None:
        port = view.ports.get(key)
        return part_of(port, view, self.config) if port else None

    async def _some(self, parts: Mapping[PortKey, Part | None]) -> str:
        changes = [self._contents.update(step) for step in self._steps(parts)]
        try:
            return await asyncio.to_thread(self._kernel.change, changes)
        except NetlinkError:  # the table is not what it was: somebody else changed it
            return await self._whole()

    async def _whole(self) -> str:
        try:
            return await asyncio.to_thread(self._kernel.bring, self.plan)
        except NetlinkError as error:
            raise RuleError(f"the kernel refused kube-proxy's table: {error}", **error.details) from error

    def _steps(self, parts: Mapping[PortKey, Part | None]) -> Iterator[Mapping[PortKey, Part | None]]:
        """One step; two where the time-out of session affinity changes, as nf_tables alters no set."""
        known = self._contents.parts
        altered = {key: part for key, part in parts.items() if part and key in known and part.alters(known[key])}
        if altered:
            yield {key: without_affinity(part) for key, part in altered.items()}
        yield parts
