"""Control: the store with its controllers, the node agents, and what the notebook can ask for.

notebook ──> apply, get, wait, … ──> Admission ──> Store <──> controllers (reconcile loop)
│
Kubelet, NodeRules, dns <───┘ watch
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from labkit.apiserver.duties import Duties
from labkit.cluster import proxy_settings, subresources
from labkit.cluster.answers import Answers
from labkit.cluster.api import PORT, ApiServer, publish
from labkit.cluster.datacenter import DataCenter
from labkit.cluster.kept import missing, resume
from labkit.cluster.logs import Logs
from labkit.cluster.looking import Looking
from labkit.cluster.metrics import Metrics
from labkit.cluster.node_agents import NodeAgents
from labkit.cluster.nodes import registered
from labkit.cluster.plane import Plane
from labkit.cluster.proxy_pods import ProxyPods
from labkit.cluster.proxy_programs import ProxyPrograms
from labkit.cluster.questions import Questions
from labkit.cluster.streams import Streams
from labkit.cluster.waiting import Waiting
from labkit.cluster.wanted import Wanted
from labkit.cluster.work import Work
from labkit.control.store import Raw
from labkit.control.watch import Event
from labkit.dns import addon, watched
from labkit.errors import NotFound
from labkit.linux import iptables, probes
from labkit.net.place import Place
from labkit.net.topology import Site, plan
from labkit.proxy import addon as proxies
from labkit.sandbox.channel import Handler, Peer
from labkit.sandbox.tunnel import Tunnels
from labkit.services.allocator import CIDRS, SERVICE_CIDR, Ranges
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
            "output": self._output,
            "stream": self._streams.heard,
        }
        self._opened = asyncio.Event()
        self._progress = progress
        self._work = Work(_report)

    async def start(self, **given: Any) -> Raw:
        """Build the data centre and the cluster that is `Wanted`; returns the facts about them, with DNS answering.

        Raises `MissingFeature` where the kernel has not all that the lab needs, `StateError`.
        """
        wanted = msgspec.convert(given, Wanted)
        probes.require(wanted.needs)
        random.seed(wanted.seed)  # Mininet draws hardware addresses from it
        site = plan(wanted.nodes, wanted.zones, wanted.dual)
        self._progress("network")
        datacenter = DataCenter(site, dict(wanted.link))
        among = [iptables.Variant(wanted.variant)] if wanted.variant else iptables.Variant
        tables = iptables.probe(datacenter.places["router"].netns, among)
        iptables.provide(tables)
        self._progress("control plane")
        self._plane = Plane(
            wanted.seed,
            self._work,
            Pace(wanted.pace),
            wanted.kept,
            wanted.synchronous,
            Ranges(CIDRS if wanted.dual else {"IPv4": SERVICE_CIDR}, wanted.node_ports),
        )
        self._resume(site, wanted.seed)
        self._agents = NodeAgents(self._plane, datacenter, wanted, tables, self.roles, self._work)
        first = datacenter.places[site.machines[0].name]
        programs = self._programs(wanted, datacenter, first) if wanted.kube_proxy else None
        self._proxies = ProxyPods(self._plane.store, self._agents.rules, self._work, self._tell_pods, programs)
        self._agents.kubelet.proxies = self._proxies
        await self._populate(first, wanted)
        waiting = self._serve(datacenter)
        self._progress("DNS")
        await waiting.wait("Deployment", "kube-system", "coredns", 30.0)
        self._open(ApiServer(self._plane, first, wanted.listener, self._duties(), wanted.kept))
        return {
            "nodes": {m.name: m.zone for m in site.machines},
            "cni": wanted.cni,
            "proxy_mode": self._agents.rules.mode,
            "iptables": tables.value,
            "seed": wanted.seed,
        }

    def _programs(self, wanted: Wanted, datacenter: DataCenter, first: Place) -> ProxyPrograms:
        """The nodes' kube-proxies, where a program was given."""
        server = f"https://{first.addresses[0]}:{PORT}"
        return ProxyPrograms(wanted.kube_proxy, self._plane.store, datacenter.machines, server, self._account)

    async def _account(self) -> tuple[str, str]:
        """By what kube-proxy knows the API server and is known by it, once that is open."""
        await self._opened.wait()
        return await self._api.account(proxies.NAMESPACE, proxies.NAME)

    def _resume(self, site: Site, seed: int) -> None:
        """Register the nodes, and tell the pods' process what their variables and volumes are made of."""
        store = self._plane.store
        now = store.now()
        resume(store, {machine.name: registered(machine, seed, now) for machine in site.machines})
        store.watch(sources.KINDS, self._tell_workload)

    async def _populate(self, first: Place, wanted: Wanted) -> None:
        """The cluster's own objects, as far as they are not there yet, and the nodes' first rules."""
        plane = self._plane
        plane.store.watch(watched.KINDS, self._tell_dns)
        publish(plane, first)
        plane.apply(missing(plane.store, addon.addon()))
        own = proxy_settings.objects(
            wanted.proxy_config, f"https://{first.addresses[0]}:{PORT}", wanted.dual, wanted.kube_proxy
        )
        plane.apply(own if wanted.proxy_config else missing(plane.store, own))
        await self._agents.start()

    def _serve(self, datacenter: DataCenter) -> Waiting:
        """Let the client ask."""
        plane, agents = self._plane, self._agents
        # An answer to this comes after DNS has heard of all that was told before.
        waiting = Waiting(plane, lambda: self.roles["dns"].call("synced"))
        self._logs = Logs(plane.store, self.roles)
        answers = Answers(datacenter.machines, agents.rules, agents.cloud, self.roles["traffic"])
        self._questions = Questions(
            plane.store, datacenter, agents.kubelet, agents.rules, answers, self.roles, self._logs
        )
        looking = Looking(plane.admission)
        for each in (plane, waiting, looking, self._questions, agents.nodes, agents.rules, self._proxies):
            self.handlers.update(each.handlers())
        return waiting

    def _open(self, api: ApiServer) -> None:
        """Let clients of the API in."""
        self._api = api
        self._opened.set()
        self.handlers.update({"kubeconfig": api.kubeconfig, **self.tunnels.handlers()})
        self._publishing = asyncio.get_running_loop().create_task(self._publish())

    async def _publish(self) -> None:
        """Tell every namespace by what to know the API server. Nobody waits for it but those who need it."""
        self._plane.root_certificates.publish(await self._api.certificate())

    def _duties(self) -> Duties:
        """What the API server leaves to the nodes and controllers."""
        streams = subresources.handlers(self._streams, self._agents.kubelet.place, Metrics(self.roles))
        return Duties(self._logs.logs, partial(evict, self._plane.store), streams)

    def _tell_pods(self, what: str, **values: Any) -> None:
        self.roles["workload"].notify(what, **values)

    def _tell_dns(self, event: Event) -> None:
        if (told := watched.told(event.type, event.object, event.old)) is not None:
            self.roles["dns"].notify("event", type=event.type, object=told)

    def _tell_workload(self, event: Event) -> None:
        self.roles["workload"].notify("source", change=event.type, raw=event.object)

    def _report(self, pods: list[Raw], events: list[Raw]) -> None:
        self._agents.kubelet.report(pods, events)

    async def _token(self, uid: str, audience: str, seconds: int) -> str:
        """A token of a pod's ServiceAccount, for the pod's own use."""
        if (pod := self._agents.kubelet.pod(uid)) is None:
            raise NotFound(f"no pod with uid {uid} runs")
        account = pod.spec.service_account_name or "default"
        return await self._api.token(pod.namespace, account, audience, seconds, pod.name)

    def _output(self, uid: str, text: str) -> None:
        self.roles["workload"].notify("output", uid=uid, text=text)

    def _corefile(self, error: str) -> None:
        print(f"the Corefile was not taken: {error}", file=sys.stderr)  # noqa: T201 - the lab's log


def _report(error: BaseException) -> None:
    sys.excepthook(type(error), error, error.__traceback__)
