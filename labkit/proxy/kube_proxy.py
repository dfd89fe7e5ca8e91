"""kube-proxy of one node: its address families, its health, its pages, its log.

    objects ──> tracker of each family ──> FamilyProxy ──> the node
                                             └── Metrics, Health ──> pages at healthzBindAddress, metricsBindAddress

Source: Kubernetes v1.34, cmd/kube-proxy/app/server.go, server_linux.go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from labkit.api.objects import Node
from labkit.errors import NotFound
from labkit.linux import netns
from labkit.linux.iptables import Variant
from labkit.linux.rule_marks import RuleMarks
from labkit.net.exposition import CONTENT_TYPE
from labkit.net.rules import Family
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.configuration.text import builtins
from labkit.proxy.family import FamilyProxy, Surroundings
from labkit.proxy.guard import Guard
from labkit.proxy.health import NO_SNIFF, Health
from labkit.proxy.healthcheck import Answer
from labkit.proxy.metrics import VERSION, Metrics
from labkit.proxy.mode import KnowsPods, Relays, Says, Shows
from labkit.proxy.model import PortKey
from labkit.proxy.modes import MODES
from labkit.proxy.proxier import Proxier
from labkit.proxy.tracker import Tracker
from labkit.proxy.triggers import Cause

NETFILTER = Path("/proc/sys/net/netfilter")
PLAIN = {"Content-Type": "text/plain; charset=utf-8", **NO_SNIFF}


class KubeProxy:
    """Serves the namespace at `path`, on which a node of the cluster lives.

    fresh: nothing of kube-proxy is on the node yet
    """

    def __init__(
        self,
        path: str,
        node: Node,
        settings: Settings,
        variant: Variant,
        trackers: Collection[Tracker],
        around: Surroundings,
        fresh: bool = False,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics(settings.mode)
        self.health = Health(2 * settings.sync_period, time.time)
        self.path = path
        self._node = node
        self._around = around
        self.health.node = node
        self._guard = Guard(RuleMarks(path, variant, [tracker.family for tracker in trackers]))
        self.families: dict[Family, FamilyProxy] = {}
        addresses = [a.address for a in node.status.addresses if a.type == "InternalIP"]
        cidrs = node.spec.pod_cidrs or ((node.spec.pod_cidr,) if node.spec.pod_cidr else ())
        for tracker in trackers:
            config = settings.proxy(tracker.family, addresses, cidrs)
            mode = MODES[settings.mode](path, config, variant, fresh)
            if isinstance(mode, Says):
                mode.say = around.say
            proxier = Proxier(path, mode, tracker.family)
            counted, periods = (self.metrics, self.health), (settings.sync_period, settings.min_sync_period)
            self.families[tracker.family] = FamilyProxy(tracker, proxier, self._guard, counted, periods, around)
            self.metrics.begin(tracker.family)

    @property
    def idle(self) -> bool:
        """Whether all that has changed is in force, as far as the node takes it."""
        return all(family.idle for family in self.families.values())

    async def prepare(self) -> None:
        """Make the node ready for its rules."""
        self._say_start()
        with netns.entered(self.path):
            for name, value in self.settings.sysctls():
                with suppress(OSError):  # of a kernel that has no connection tracking yet, or keeps it for the host
                    (NETFILTER / name).write_text(value)
        await asyncio.gather(*(f.proxier.mode.start() for f in self.families.values()))

    def begin(self) -> None:
        """Bring the node in step, now and from now on."""
        for family in self.families.values():
            family.changed(None, self._node)
            family.watch()

    def stop(self) -> None:
        """End; the rules stay as they are, as those of a kube-proxy that ends."""
        for family in self.families.values():
            family.stop()
        self._guard.close()

    async def clean(self) -> None:
        """Remove all that the mode made on the node."""
        for family in self.families.values():
            await family.proxier.mode.stop()

    def services_changed(self, family: Family, keys: Set[PortKey]) -> None:
        self.metrics.services.add()
        if keys:
            self.metrics.services_pending.add()
            self.families[family].changed(keys)

    def endpoints_changed(self, family: Family, keys: Set[PortKey], cause: Cause | None = None) -> None:
        """A slice has changed. `cause`: what led to it, where that is to be measured."""
        self.metrics.endpoints.add()
        if keys:
            self.metrics.endpoints_pending.add()
            self.families[family].changed(keys, cause=cause)

    def node_changed(self, node: Node | None) -> None:
        """Its own node, as it is now. Only its name, zone and addresses count for the rules."""
        self.health.node = node
        if node is None:
            return
        known, self._node = self._node, node
        if (known.zone, known.status.addresses) != (node.zone, node.status.addresses):
            for family in self.families.values():
                family.changed(None, node)

    async def show(self, command: str) -> str:
        """What it has made, as its mode's tool prints it, a part for each family; `command`: one of the mode's own.

        Raises `NotFound` for a command that it has not.
        """
        parts = []
        for family in self.families.values():
            mode = family.proxier.mode
            if not command:
                parts.append(str(mode.plan))
            elif isinstance(mode, Shows):
                parts.append(await mode.show(command))
            else:
                raise NotFound(
                    f"kube-proxy in {self.settings.mode} mode prints its plan alone: ask without {command!r}"
                )
        return "".join(parts)

    def translators(self) -> list[KnowsPods]:
        """Its modes that translate addresses before there is a packet."""
        modes = (family.proxier.mode for family in self.families.values())
        return [mode for mode in modes if isinstance(mode, KnowsPods)]

    def relays(self) -> list[Relays]:
        """Its modes in which a process passes connections on."""
        modes = (family.proxier.mode for family in self.families.values())
        return [mode for mode in modes if isinstance(mode, Relays)]

    def join(self, path: str) -> None:
        """A network namespace is that of a pod of the node."""
        for mode in self.translators():
            mode.join(path)

    def leave(self, path: str) -> None:
        """It will be gone."""
        for mode in self.translators():
            mode.leave(path)

    def wake(self) -> None:
        """The node is no longer cut off."""
        for family in self.families.values():
            family.wake()

    def healthz(self, path: str) -> Answer:
        """A page of healthzBindAddress."""
        answer = self.health.answer(path)
        if path in ("/healthz", "/livez"):
            counter = self.metrics.healthz if path == "/healthz" else self.metrics.livez
            counter.add(code=str(answer.status))
        return answer

    def page(self, path: str) -> Answer:
        """A page of metricsBindAddress."""
        match path:
            case "/metrics":
                for family in self.families.values():
                    family.count()
                return Answer(200, self.metrics.text(), {"Content-Type": CONTENT_TYPE})
            case "/proxyMode":
                return Answer(200, self.settings.mode, PLAIN)
            case "/configz":
                told = msgspec.json.encode({"kubeproxy.config.k8s.io": builtins(self.settings.config)}).decode()
                return Answer(200, told, {"Content-Type": "application/json", **NO_SNIFF})
            case "/healthz" | "/healthz/ping":
                return Answer(200, "ok", PLAIN)
        return Answer(404, "404 page not found\n", PLAIN)

    def state(self) -> Mapping[str, Any]:
        """What a learner asks about it: `mode`, `synced` (seconds since 1970 by family), `refused`, `healthy`, …"""
        families = {}
        for name, family in self.families.items():
            refused = {f"{port}/{protocol}": error.message for (port, protocol), error in family.refused.items()}
            syncs = {"full": self.metrics.full, "partial": self.metrics.partial}
            families[name] = {
                "services": len(family.tracker.ports),
                "last_sync": self.metrics.last.get(ip_family=name) or None,
                "syncs": {which: counted.count(ip_family=name) for which, counted in syncs.items()},
                "refused": refused,
            }
        return {"mode": self.settings.mode, "healthy": self.health.well, "families": families}

    def _say_start(self) -> None:
        say, config = self._around.say, self.settings.config
        say("I", "server.go:677", "Version info", {"version": VERSION})
        say("I", "server_linux.go:118", f"Using {self.settings.mode} Proxier", {})
        say("I", "server_linux.go:186", "Detect-local-mode", {"localMode": config.detect_local_mode})
        if not config.node_port_addresses:
            advice = (
                "NodePort connections will be accepted on all local IPs. Consider using `--nodeport-addresses primary`"
            )
            facts = {"err": f"nodePortAddresses is unset; {advice}"}
            say("E", "server.go:256", "Kube-proxy configuration may be incomplete or incorrect", facts)
