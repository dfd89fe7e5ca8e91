"""kube-proxy's userspace mode on one node: its proxy process, and the rules that lead to it.

    sockets for new ports are opened -> rules -> sockets of ports that have gone are closed

so that a rule never leads to a port at which nothing listens.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterable, Sequence, Set

from labkit.errors import CommandError, NotFound, RuleError
from labkit.linux import conntrack
from labkit.linux.conntrack_find import Entries
from labkit.linux.iptables import Variant
from labkit.net.rules import ruleset
from labkit.proxy.chains import Block, Chains
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey
from labkit.proxy.userspace.counters import Counters
from labkit.proxy.userspace.messages import Claim, Opened
from labkit.proxy.userspace.plan import UserspacePlan, portal, wanted
from labkit.proxy.userspace.process import ProxyProcess
from labkit.proxy.userspace.rules import CHAINS, HOOKS, Portal, block, claims, is_own
from labkit.proxy.writer import RuleWriter


class UserspaceMode:
    """Keeps the network namespace at `path`. The process starts with the first sync, and anew where it has ended.

    fresh: the node has no rule of kube-proxy yet, so that it need not be asked for them first
    """

    def __init__(
        self, path: str, config: ProxyConfig = DEFAULT, variant: Variant = Variant.NFT, fresh: bool = False
    ) -> None:
        self.path = path
        self.config = config
        self._writer = RuleWriter(path, variant, config.family, is_own, fresh)
        self._process: ProxyProcess | None = None
        self._reset()

    def _reset(self) -> None:
        self._chains = Chains(CHAINS, HOOKS, self.config.family)
        self._portals: dict[PortKey, Portal] = {}
        self._open: dict[PortKey, int] = {}
        self._host_ip, self._behind = "", False
        self._holders: dict[Claim, set[PortKey]] = {}

    @property
    def plan(self) -> UserspacePlan:
        return UserspacePlan(
            self._host_ip, tuple(self._portals[key] for key in sorted(self._portals)), self._chains.ruleset()
        )

    @property
    def pid(self) -> int:
        """Of the process; 0 where there is none."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Nothing to prepare: a node without Services needs no process."""

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        self._host_ip, before = view.node_ip, dict(self._open)
        try:
            text = await self._follow(view, None if self._behind else changed)
        except CommandError as error:
            raise RuleError(f"kube-proxy in {self.path}: {error.message}") from error
        lost = {n for (_, protocol), n in before.items() if protocol == "udp"} - set(self._open.values())
        if lost and self.config.family == "IPv4":
            await asyncio.to_thread(self._forget_flows, lost)
        return text

    async def _follow(self, view: View, changed: Set[PortKey] | None) -> str:
        process = self._process
        if process is None or not process.running:
            process = self._process = await ProxyProcess.start(self.path, self.config.family)
            self._open, changed = {}, None
        keys = view.ports.keys() | self._portals.keys() if changed is None else changed
        self._behind = True  # until the process has heard of these keys
        blocks = await self._opened(process, view, keys)
        self._behind = False
        edits = self._chains.replace(blocks, self._writer.batch)
        text = await self._writer.write([edits], self._chains.ruleset, changed is None)
        await self._close(process)
        return text

    async def stop(self) -> None:
        nothing = ruleset({table: {} for table, _ in CHAINS}, self.config.family)
        await self._writer.write((), nothing, everything=True)
        process, self._process = self._process, None
        self._reset()
        if process:
            await process.stop()

    async def show(self, command: str) -> str:
        """`counters`: what went through the process, a line for each Service port."""
        if command != "counters":
            raise NotFound(f"{command!r} is no command here: there is 'counters'")
        rows = [("SERVICE PORT", "ACCEPTED", "DIALLED", "FAILED", "BYTES")]
        found = await self.counters()
        rows += [(n, str(c.accepted), str(c.dialled), str(c.failed), str(c.copied)) for n, c in found.items()]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=True)) for row in rows)
        return "".join(f"{line.rstrip()}\n" for line in lines)

    async def counters(self) -> dict[str, Counters]:
        """What went through the process, by `ns/service:port/protocol`; nothing where there is none."""
        return await self._process.counters() if self._process and self._process.running else {}

    async def relayed(self, protocol: str, asked: Sequence[tuple[str, str]]) -> list[str]:
        if self._process is None or not self._process.running:
            return [""] * len(asked)
        return await self._process.relayed(protocol, asked)

    async def _opened(self, process: ProxyProcess, view: View, keys: Iterable[PortKey]) -> dict[PortKey, Block | None]:
        """Have the process serve these ports as they are now; their rules, None for those that have gone."""
        asked = {key: want for key in sorted(keys) if (port := view.ports.get(key)) and (want := wanted(port))}
        needed = [claim for key in asked for claim in claims(view.ports[key].frontend, view.addresses)]
        answer: Opened = await process.open(list(asked.values()), needed)
        self._open.update(zip(asked, answer.ports, strict=True))
        refused = {claim for claim, _ in answer.refused}
        for _, reason in answer.refused:
            print(f"kube-proxy: {reason}", file=sys.stderr)  # noqa: T201 - the lab's log
        blocks: dict[PortKey, Block | None] = dict.fromkeys(keys)
        for key in keys:
            self._hold(key, self._portals.pop(key, None), None)
        for key in asked:
            made = self._portals[key] = portal(view.ports[key], self._open[key], refused, view)
            self._hold(key, None, made)
            blocks[key] = block(made, view.node_ip)
        return blocks

    def _hold(self, key: PortKey, before: Portal | None, now: Portal | None) -> None:
        """Note who needs which port of the node."""
        for claim in before.claims if before else ():
            self._holders[claim].discard(key)
        for claim in now.claims if now else ():
            self._holders.setdefault(claim, set()).add(key)

    async def _close(self, process: ProxyProcess) -> None:
        """Let go of what no rule leads to any more."""
        gone = [key for key in self._open if key not in self._portals]
        idle = [claim for claim, keys in self._holders.items() if not keys]
        if gone or idle:
            await process.close(gone, idle)
        for key in gone:
            del self._open[key]
        for claim in idle:
            del self._holders[claim]

    def _forget_flows(self, ports: Set[int]) -> None:
        """Let UDP clients of ports that the process has no longer be led anew."""
        with Entries(self.path) as entries:
            for flow in conntrack.dump(self.path, socket.IPPROTO_UDP):
                if flow.translated and flow.reply.sport in ports:
                    entries.forget(flow.original)
