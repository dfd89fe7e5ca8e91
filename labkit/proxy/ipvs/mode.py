"""kube-proxy's ipvs mode on one node: a change costs what it changes, in IPVS, sets, rules and addresses.

Source: Kubernetes v1.34, pkg/proxy/ipvs/proxier.go.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Set

from labkit.errors import LabError, NetlinkError, RuleError
from labkit.linux.iptables import Variant
from labkit.net.rules import Ruleset, Table
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.ipvs import sets
from labkit.proxy.ipvs.graceful import INTERVAL
from labkit.proxy.ipvs.ledger import Ledger, State
from labkit.proxy.ipvs.node import Found, NodeTables
from labkit.proxy.ipvs.part import Where
from labkit.proxy.ipvs.plan import SCHEDULER, IpvsPlan, planned, where, written
from labkit.proxy.ipvs.rules import CHAINS, rules
from labkit.proxy.ipvs.step import Step, difference
from labkit.proxy.mode import View
from labkit.proxy.model import PortKey
from labkit.proxy.restore import diff


class IpvsMode:
    """Keeps the network namespace at `path`, through the iptables variant of the node.

    fresh     the node has nothing of this mode yet, so that it need not be looked at first
    interval  seconds between two looks whether a server that leaves still has connections
    """

    def __init__(
        self,
        path: str,
        config: ProxyConfig = DEFAULT,
        variant: Variant = Variant.NFT,
        fresh: bool = False,
        interval: float = INTERVAL,
    ) -> None:
        self.path = path
        self.config = config
        self.variant = variant
        self._tables = NodeTables(path, variant, config.family, config.ipvs.exclude_cidrs)
        self._fresh = fresh
        self._interval = interval
        self._ledger = Ledger()
        self._here: Where | None = None
        self._rules: Ruleset | None = None  # those that the node has; None: what it has is not known
        self._turn = asyncio.Lock()
        self._reaper: asyncio.Task[None] | None = None

    @property
    def plan(self) -> IpvsPlan:
        return written(self._ledger, self.config)

    @property
    def leaving(self) -> bool:
        """Whether a real server waits for the end of its last connection."""
        return bool(self._tables.leaving)

    async def start(self) -> None:
        """Raises `RuleError` where the kernel has no IPVS, or not the scheduler."""
        ipvs = self.config.ipvs
        timeouts = (ipvs.tcp_timeout, ipvs.tcp_fin_timeout, ipvs.udp_timeout)
        scheduler = ipvs.scheduler or SCHEDULER
        await asyncio.to_thread(self._tables.prepare, scheduler, ipvs.strict_arp, timeouts)

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        async with self._turn:
            known, self._rules = self._rules, None  # not known while it changes, and after a failure
            fresh, self._fresh = self._fresh, False
            before, after = await self._replace(view, changed)
            wanted = rules(self._ledger.filled, self._ledger.closed, self.config)
            if changed is None or known is None:
                found = Found(missing=sets.NAMES) if fresh else await asyncio.to_thread(self._tables.found)
                step = self._step(found, self._ledger.state, wanted)
            else:
                step = self._step(Found(before, rules=known), after, wanted)
            await self._take(step)
            self._rules = wanted
            return str(step)

    async def stop(self) -> None:
        async with self._turn:
            if self._reaper is not None:
                self._reaper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._reaper
            found = await asyncio.to_thread(self._tables.found)
            nothing = Ruleset(tuple(map(Table, CHAINS)), self.config.family)
            await self._take(self._step(Found(found.state, rules=found.rules), State(), nothing))
            await asyncio.to_thread(self._tables.clear)
            self._ledger, self._here, self._rules = Ledger(), None, None

    async def _replace(self, view: View, changed: Set[PortKey] | None) -> tuple[State, State]:
        """Bring the ledger to the view. An address that the node has or lost concerns every port."""
        here = where(view, self.config, await asyncio.to_thread(self._tables.addresses))
        moved, self._here = here != self._here, here
        keys = view.ports.keys() | self._ledger.parts.keys() if changed is None or moved else changed
        ports = ((key, view.ports.get(key)) for key in keys)
        return self._ledger.replace({key: planned(port, view, here) if port else None for key, port in ports})

    def _step(self, found: Found, wanted: State, wanted_rules: Ruleset) -> Step:
        text = diff(found.rules, wanted_rules, self.variant.batch)
        made = tuple(sets.make(base, self.config.family) for base in found.missing)
        return difference(found.state, wanted, text, made, self.config.family)

    async def _take(self, step: Step) -> None:
        try:
            await asyncio.to_thread(self._tables.take, step)
        except NetlinkError as error:
            raise RuleError(error.message, **error.details) from error
        if self.leaving and self._reaper is None:
            self._reaper = asyncio.create_task(self._reap())

    async def _reap(self) -> None:
        """See off the servers that leave. One that somebody deleted meanwhile is no more than gone."""
        while self.leaving:
            await asyncio.sleep(self._interval)
            async with self._turn:
                with contextlib.suppress(LabError):
                    await asyncio.to_thread(self._tables.reap)
        self._reaper = None
