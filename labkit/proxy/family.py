r"""kube-proxy on one node for one address family: when the node is brought in step, and what is counted of it.

    changed ──> what is due ── Runner ──> has somebody else been at the rules? ──> Proxier ──> the node
                   ↑                                                               \ refused: without what is at fault
                   └── each syncPeriod a look, each hour everything

kube-proxy itself sees a rule that somebody deleted only when its canary is gone with it, or an hour later; here each
sync and each syncPeriod notices. Source: Kubernetes v1.34, pkg/proxy/iptables/proxier.go (syncProxyRules),
pkg/util/iptables/monitor.go, pkg/proxy/util/utils.go (FullSyncPeriod).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Set

import msgspec

from labkit.api.objects import Node
from labkit.errors import LabError, RuleError
from labkit.net.rules import Ruleset
from labkit.proxy import faults
from labkit.proxy.guard import Guard
from labkit.proxy.health import Health
from labkit.proxy.metrics import Metrics
from labkit.proxy.mode import View, view_of
from labkit.proxy.model import PortKey
from labkit.proxy.proxier import Proxier
from labkit.proxy.runner import Later, Runner, Start, Timer
from labkit.proxy.tracker import Tracker
from labkit.proxy.triggers import Cause, Triggers

FULL_SYNC = 3600.0


class Surroundings(msgspec.Struct, frozen=True):
    """What a proxy is given to live in.

    start, later  as `Runner` has them; idle: called when a family has nothing to do any more
    silent        whether the node is cut off: then nothing is heard and nothing done
    say           (level, place, message, facts) to the log
    refused       told of the ports that the node refuses, with its reason; each time that this changes
    """

    start: Start
    later: Later
    idle: Callable[[], None]
    silent: Callable[[], bool]
    say: Callable[..., None]
    refused: Callable[[dict[PortKey, RuleError]], None]


class FamilyProxy:
    """Applies what `tracker` knows. `periods`: syncPeriod and minSyncPeriod in seconds."""

    def __init__(
        self,
        tracker: Tracker,
        proxier: Proxier,
        guard: Guard,
        counted: tuple[Metrics, Health],
        periods: tuple[float, float],
        around: Surroundings,
    ) -> None:
        self.tracker = tracker
        self.proxier = proxier
        self.refused: dict[PortKey, RuleError] = {}
        proxier.reconciled = self._reconciled
        self._guard = guard
        guard.disturbed.append(self.suspect)
        self._metrics, self._health = counted
        self._around = around
        self._period, least = periods
        self._runner = Runner(self._sync, least, self._period, FULL_SYNC, around.start, around.later, around.idle)
        self._node: Node | None = None
        self._due: set[PortKey] | None = None  # None: everything
        self._last_full = 0.0
        self._triggers = Triggers(time.time())
        self._look: Timer | None = None

    @property
    def idle(self) -> bool:
        return self._runner.idle

    def changed(self, keys: Set[PortKey] | None, node: Node | None = None, cause: Cause | None = None) -> None:
        """Ports have changed, or, with None, anything may have. `cause`: of a change of endpoints."""
        self._node = node or self._node
        if keys is None:
            self._due = None
        elif self._due is not None:
            self._due |= keys
        if cause is not None:
            self._triggers.add(cause)
        self._health.queued(self.tracker.family)
        self._metrics.queued.set(time.time(), ip_family=self.tracker.family)
        self.wake()

    def suspect(self) -> None:
        """Somebody else was at the rules: look at all of them."""
        self._due = None
        self.wake()

    def wake(self) -> None:
        if (self._due is None or self._due or self.refused) and not self._around.silent():
            self._runner.run()

    def watch(self) -> None:
        """Look from now on, each syncPeriod, whether somebody else was at the rules."""
        self._look = self._around.later(self._period, self._looked)

    def stop(self) -> None:
        """Do nothing any more; the rules stay."""
        self._runner.stop()
        if self._look:
            self._look.cancel()

    def count(self) -> None:
        """Bring those figures up to date that are worked out only when somebody asks."""
        labels = {"ip_family": self.tracker.family}
        if self._node is None:
            return
        if isinstance(plan := self.proxier.mode.plan, Ruleset):
            for table in plan.tables:
                if table.name != "mangle":
                    self._metrics.rules.set(sum(len(c.rules) for c in table.chains), table=table.name, **labels)
        ports = [port for port in self.tracker.ports.values() if port.backends]
        away = [p for p in ports if not any(b.node == self._node.name for b in p.backends)]
        for policy in ("internal", "external"):
            names = {p.frontend.name for p in away if getattr(p.frontend, f"{policy}_local")}
            self._metrics.no_local.set(len(names), traffic_policy=policy, **labels)

    def _looked(self) -> None:
        self.watch()
        if not self._guard.turn.locked():
            self._guard.look()

    async def _sync(self) -> bool:
        async with self._guard.turn:
            self._guard.look()
            good = await self._in_turn()
            self._guard.leave()
        return good

    async def _in_turn(self) -> bool:
        if self._node is None or self._around.silent():
            return True
        changed = self._take()
        view = view_of(self.tracker, self._node)
        began = time.perf_counter()
        try:
            text = await self._apply(view, changed)
        except LabError as error:
            self._due = None
            place, facts = "proxier.go:1507", {"err": error.message}
            self._around.say("E", place, "Failed to execute iptables-restore", facts)
            self._around.say("I", "proxier.go:687", "Sync failed", {"retryingTime": f"{self._period:g}s"})
            return False
        except BaseException:
            self._due = None
            raise
        self._count_sync(text, changed is None, time.perf_counter() - began)
        return not self.refused

    def _take(self) -> set[PortKey] | None:
        """What is to be looked at now: None where that is everything."""
        due, self._due = self._due, set()
        for metric in (self._metrics.services_pending, self._metrics.endpoints_pending):
            metric.set(0)
        now = time.monotonic()
        if due is not None and now - self._last_full > FULL_SYNC:
            due = None
        if due is None:
            self._last_full = now
        return due

    async def _apply(self, view: View, changed: set[PortKey] | None) -> str:
        """Bring the node to the view, as far as it takes it. A port that it refused is tried again whenever it
        changed, and whenever nothing else is to be done.
        """
        before = self.refused
        tried = before.keys() if not changed else before.keys() & changed
        refused = {key: error for key, error in before.items() if key not in tried and key in view.ports}
        left = faults.without(view, refused)
        changed = changed if changed is None else changed | tried
        try:
            text = await self.proxier.sync(left, changed)
        except RuleError as error:
            self._metrics.refused(self.tracker.family, partial=changed is not None)
            refused |= await faults.find(self.proxier.sync, left, changed, error)
            text = ""
        if refused.keys() != before.keys():
            self.refused = refused
            self._around.refused(refused)
        return text

    def _reconciled(self, seconds: float, forgotten: int) -> None:
        self._metrics.reconciled.observe(seconds, ip_family=self.tracker.family)
        self._metrics.forgotten.add(forgotten, ip_family=self.tracker.family)

    def _count_sync(self, text: str, full: bool, seconds: float) -> None:
        family, metrics, now = self.tracker.family, self._metrics, time.time()
        metrics.sync.observe(seconds, ip_family=family)
        (metrics.full if full else metrics.partial).observe(seconds, ip_family=family)
        metrics.last.set(now, ip_family=family)
        if text.startswith("*"):
            for table, lines in _tables(text):
                metrics.written.set(lines.count("\n-A "), ip_family=family, table=table)
        for since in self._triggers.take():
            metrics.programming.observe(max(0.0, now - since), ip_family=family)
        if self._due is not None and not self._due:
            self._health.updated(family)


def _tables(text: str) -> list[tuple[str, str]]:
    """What restore text says of each table that a real kube-proxy counts."""
    parts = [part.partition("\n") for part in f"\n{text}".split("\n*")[1:]]
    found: dict[str, str] = {}
    for name, _, lines in parts:
        if name != "mangle":
            found[name] = found.get(name, "") + f"\n{lines}"
    return list(found.items())
