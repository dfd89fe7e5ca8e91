"""Control: the store with its controllers, the node agents, and what the notebook can ask for.

notebook ──> apply, get, wait, … ──> Admission ──> Store <──> controllers (reconcile loop)
│
Kubelet, NodeRules, dns <───┘ watch
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from labkit.apiserver.duties import Duties
from labkit.cluster import subresources
from labkit.cluster.api import ApiServer, publish
from labkit.cluster.datacenter import DataCenter
from labkit.cluster.kept import missing, resume
from labkit.cluster.kubelet import Kubelet
from labkit.cluster.logs import Logs
from labkit.cluster.looking import Looking
from labkit.cluster.node_rules import NodeRules
from labkit.cluster.nodes import Agents, registered
from labkit.cluster.plane import Plane
from labkit.cluster.questions import Questions
from labkit.cluster.streams import Streams
from labkit.cluster.waiting import Waiting
from labkit.cluster.work import Work
from labkit.cni import routes
from labkit.cni.plugins import PLUGINS
from labkit.control.store import Raw
from labkit.control.watch import Event
from labkit.dns import addon, watched
from labkit.errors import NotFound
from labkit.linux import iptables, probes
from labkit.net.topology import POD_NETWORK, plan
from labkit.sandbox.channel import Handler, Peer
from labkit.sandbox.tunnel import Tunnels
from labkit.workloads import sources
from labkit.workloads.disruption.eviction import evict
from labkit.workloads.nodes.pace import Pace


class Control:
    """Everything that the control process does.

    roles     the channels to the other processes, by name; `events` is what those may tell
    handlers  what a client may ask
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.roles: dict[str, Peer] = {}
        self.tunnels = Tunnels(lambda sock: self._api.take(sock))
        self.handlers: dict[str, Handler] = {"start": self.start}  # more of them once the cluster stands
        self._streams = Streams(lambda: self.roles["workload"])
        self.events: dict[str, Handler] = {
            "report": self._report,
            "token": self._token,
            "corefile": self._corefile,
            "stream": self._streams.heard,
        }
        self._progress = progress
        self._work = Work(_report)

    async def start(
        self,
        nodes: int,
        zones: Sequence[str],
        cni: str,
        variant: str,
        link: Mapping[str, Any],
        seed: int,
        needs: Sequence[str],
        pace: float,
        listener: int,
        kept: str,
        synchronous: str,
    ) -> Raw:
        """Build the data centre and the cluster on it; returns the facts about them, with DNS answering.

        `listener` is the descriptor of the API's listening socket on the host, -1 where there is none.
        `kept` is the folder of the lab's state, empty where it is not kept; it comes back with what is in there.
        `synchronous`: "NORMAL", or "FULL" where a file's pages are in this kernel only until they are synced, as in a
        guest's.
        Raises `MissingFeature` where the kernel has not all that the lab `needs`, `StateError`.
        """
        probes.require(needs)
        random.seed(seed)  # Mininet draws hardware addresses from it
        site = plan(nodes, zones)
        self._progress("network")
        self._datacenter = datacenter = DataCenter(site, dict(link))
        for name, ways in routes.plan(site).items():
            routes.apply(datacenter.net[name].links, ways)
        among = [iptables.Variant(variant)] if variant else iptables.Variant
        tables = iptables.probe(datacenter.places["router"].netns, among)
        iptables.provide(tables)
        self._progress("control plane")
        self._plane = plane = Plane(seed, self._work, Pace(pace), kept, synchronous)
        now = plane.store.now()
        resume(plane.store, {machine.name: registered(machine, seed, now) for machine in site.machines})
        machines = {m.name: datacenter.places[m.name] for m in site.machines}
        links = {m.name: datacenter.net[m.name].links for m in site.machines}
        plane.store.watch(sources.KINDS, self._tell_workload)
        self._kubelet = Kubelet(plane.store, machines, links, PLUGINS[cni], self.roles, self._work, self._everywhere)
        self._agents = Agents(plane.store, list(machines), Pace(pace), datacenter.cut)
        self._agents.start()
        self._kubelet.silent = self._agents.silent.__contains__
        self._agents.back.append(self._kubelet.rejoin)
        plane.store.watch(watched.KINDS, self._tell_dns)
        first = datacenter.places[site.machines[0].name]
        publish(plane, first)
        plane.apply(missing(plane.store, addon.addon()))
        self._rules = NodeRules(plane.store, machines, tables, POD_NETWORK, self._work)
        await self._rules.start()
        # An answer to this comes after DNS has heard of all that was told before.
        waiting = Waiting(plane, lambda: self.roles["dns"].call("synced"))
        self._logs = Logs(plane.store, self.roles)
        self._questions = Questions(plane.store, datacenter, self._kubelet, self._rules, self.roles, self._logs)
        looking = Looking(plane.admission)
        for each in (plane, waiting, looking, self._questions, self._agents):
            self.handlers.update(each.handlers())
        self._progress("DNS")
        await waiting.wait("Deployment", "kube-system", "coredns", 30.0)
        self._api = ApiServer(plane, first, listener, self._duties())
        self.handlers.update({"kubeconfig": self._api.kubeconfig, **self.tunnels.handlers()})
        self._publishing = asyncio.get_running_loop().create_task(self._publish())
        return {
            "nodes": {m.name: m.zone for m in site.machines},
            "cni": cni,
            "iptables": tables.value,
            "seed": seed,
        }

    async def _publish(self) -> None:
        """Tell every namespace by what to know the API server. Nobody waits for it but those who need it."""
        self._plane.root_certificates.publish(await self._api.certificate())

    def _duties(self) -> Duties:
        """What the API server leaves to the nodes and controllers."""
        streams = subresources.handlers(self._streams, self._kubelet.place)
        return Duties(self._logs.logs, partial(evict, self._plane.store), streams)

    def _tell_dns(self, event: Event) -> None:
        if (told := watched.told(event.type, event.object, event.old)) is not None:
            self.roles["dns"].notify("event", type=event.type, object=told)

    def _tell_workload(self, event: Event) -> None:
        self.roles["workload"].notify("source", change=event.type, raw=event.object)

    async def _everywhere(self) -> None:
        """Wait until what has changed so far is in every node's rules."""
        await self._plane.reconciled()
        await self._rules.synced()

    def _report(self, pods: list[Raw], events: list[Raw]) -> None:
        self._kubelet.report(pods, events)

    async def _token(self, uid: str, audience: str, seconds: int) -> str:
        """A token of a pod's ServiceAccount, for the pod's own use."""
        if (pod := self._kubelet.pod(uid)) is None:
            raise NotFound(f"no pod with uid {uid} runs")
        account = pod.spec.service_account_name or "default"
        return await self._api.token(pod.namespace, account, audience, seconds, pod.name)

    def _corefile(self, error: str) -> None:
        print(f"the Corefile was not taken: {error}", file=sys.stderr)  # noqa: T201 - the lab's log


def _report(error: BaseException) -> None:
    sys.excepthook(type(error), error, error.__traceback__)
