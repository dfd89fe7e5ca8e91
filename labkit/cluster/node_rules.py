"""The kube-proxies of nodes: woken when Services, endpoints or nodes change.

    store -- watch --> Tracker (one for all nodes) -- changed ports --> KubeProxy of each node
      └ ConfigMap kube-system/kube-proxy: read when a proxy starts, as by a real one

Changes that come while a node is being served are taken together afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.cluster import proxy_settings
from labkit.cluster.proxy_log import ProxyLog
from labkit.cluster.proxy_ports import ProxyPorts
from labkit.cluster.work import Work
from labkit.cni import masquerade
from labkit.control.recorder import Recorder
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.errors import NotFound, RuleError
from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.net.place import Place
from labkit.net.rules import Family
from labkit.net.topology import POD_NETWORKS
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.configuration.text import lenient
from labkit.proxy.family import Surroundings
from labkit.proxy.kube_proxy import KubeProxy
from labkit.proxy.model import PortKey
from labkit.proxy.modes import LASTING
from labkit.proxy.restore import diff
from labkit.proxy.tracker import Tracker
from labkit.proxy.triggers import cause
from labkit.sandbox.channel import Handler


class NodeRules:
    """Keeps those nodes as the Services ask on which a proxy has begun. The rules of one that ended stay as they are.

    silent     whether a node is cut off: its rules stay as they are, until `rejoin`
    following  set once the store is followed: no proxy begins sooner
    """

    def __init__(
        self,
        store: Store,
        nodes: Mapping[str, Place],
        variant: Variant,
        work: Work,
        service_cidrs: Sequence[str] = (),
        families: Sequence[Family] = ("IPv4",),
    ) -> None:
        self.mode = ""
        self.variant = variant
        self.silent: Callable[[str], bool] = lambda node: False
        self._store = store
        self._work = work
        self._places = nodes
        self._service_cidrs = service_cidrs
        self._pods: dict[str, set[str]] = {name: set() for name in nodes}  # their network namespaces
        self._masquerades = [masquerade.plan(POD_NETWORKS[family]) for family in families]
        self._trackers = {family: Tracker(family) for family in families}
        self._proxies: dict[str, KubeProxy] = {}
        self._ports: dict[str, ProxyPorts] = {}
        self.logs = {name: ProxyLog(store.now) for name in nodes}
        self.following = asyncio.Event()
        self._left: dict[str, KubeProxy] = {}  # of which there are rules on nodes
        self._fresh = set(nodes)  # where there never was a proxy
        self._busy: set[str] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def handlers(self) -> dict[str, Handler]:
        return {"show_proxy": self.show}

    async def start(self) -> None:
        """Masquerade what leaves the cluster, then follow the store. Raises `ConfigError`."""
        settings, _ = proxy_settings.read(self._store)
        self.mode = settings.mode
        for rules in self._masquerades:
            text = diff(None, rules)
            places = self._places.values()
            await asyncio.gather(*(iptables.apply(p.netns, [text], self.variant, rules.family) for p in places))
        self._store.watch(["Service", "EndpointSlice", "Node"], self._heard)
        self.following.set()

    async def begin(self, name: str, settings: Settings, complaints: list[str]) -> None:
        """A node's proxy begins; `complaints`: a strict decoder's, of its file. Raises `LabError` where it cannot."""
        if complaints:
            self.logs[name].say(*lenient(complaints))
        old = self._left.pop(name, None)
        if old and settings.mode != old.settings.mode:
            await old.clean()  # as kube-proxy, which cleans up after the modes that it is not in
        fresh = name in self._fresh
        self._fresh.discard(name)
        raw = self._store.get("Node", "", name)
        proxy = self._proxies[name] = self._made(name, view(raw, Node), settings, fresh)
        self.mode = settings.mode
        await proxy.prepare()
        proxy.begin()
        self._mind(name)
        self._ports[name] = ProxyPorts(proxy, self.logs[name].unheard)
        if not fresh:
            Recorder(self._store, "kube-proxy", name).event(raw, "Normal", "Starting", "")

    async def end(self, name: str) -> None:
        """A node's proxy ends, if there is one; what is in the kernel alone stays there."""
        if (proxy := self._proxies.pop(name, None)) is None:
            return
        proxy.stop()
        if ports := self._ports.pop(name, None):
            ports.close()
        self._busy.discard(name)
        if not self._busy:
            self._idle.set()
        if proxy.settings.mode in LASTING:
            self._left[name] = proxy
        else:
            await proxy.clean()

    async def synced(self) -> None:
        """Wait until every node that is not cut off has the rules that the changes so far ask for."""
        await self._idle.wait()

    def rejoin(self, node: str) -> None:
        """A node is no longer cut off: it hears of all that has changed meanwhile."""
        if node in self._proxies:
            self._proxies[node].wake()
            self._mind(node)

    def join(self, node: str, path: str) -> None:
        """A pod of the node has got its network namespace."""
        self._pods[node].add(path)
        if node in self._proxies:
            self._proxies[node].join(path)

    def leave(self, node: str, path: str) -> None:
        """It will be gone."""
        self._pods[node].discard(path)
        if node in self._proxies:
            self._proxies[node].leave(path)

    @property
    def proxies(self) -> Mapping[str, KubeProxy]:
        """The lab's own, by node."""
        return self._proxies

    def state(self, node: str) -> Mapping[str, Any]:
        return self._proxy(node).state()

    def _proxy(self, node: str) -> KubeProxy:
        if node not in self._proxies:
            raise NotFound(f"no kube-proxy of the lab runs on {node!r}; on these it does: {', '.join(self._proxies)}")
        return self._proxies[node]

    def _made(self, name: str, node: Node, settings: Settings, fresh: bool = False) -> KubeProxy:
        loop = asyncio.get_running_loop()
        around = Surroundings(
            self._work.start,
            loop.call_later,
            partial(self._mind, name),
            lambda: self.silent(name),
            self.logs[name].say,
            partial(self._refused, name),
        )
        settings = replace(settings, service_cidrs=tuple(self._service_cidrs))
        made = KubeProxy(self._places[name].netns, node, settings, self.variant, self._trackers.values(), around, fresh)
        for path in self._pods[name]:
            made.join(path)
        return made

    def _mind(self, name: str) -> None:
        """Note whether a node's proxy has something to do."""
        if name not in self._proxies or self._proxies[name].idle:
            self._busy.discard(name)
        else:
            self._busy.add(name)
        (self._idle.clear if self._busy else self._idle.set)()

    def _refused(self, name: str, refused: Mapping[PortKey, RuleError]) -> None:
        """Say it where people look: at the Service."""
        for (port, _), error in refused.items():
            namespace, _, rest = port.partition("/")
            if (service := self._store.find("Service", namespace, rest.partition(":")[0])) is not None:
                recorder = Recorder(self._store, "kube-proxy", name)
                recorder.event(service, "Warning", "FailedToSyncRules", f"{name} refused {port}: {error.message}")

    async def show(self, node: str, command: str) -> str:
        """What a node's proxy has made: see `KubeProxy.show`. Raises `NotFound`."""
        return await self._proxy(node).show(command)

    def _heard(self, event: Event) -> None:
        gone = event.type == "DELETED"
        match event.object["kind"]:
            case "Service":
                service = view(event.object, Service)
                for family, tracker in self._trackers.items():
                    keys = tracker.service(service, gone=gone)
                    self._tell(lambda proxy, f=family, k=keys: proxy.services_changed(f, k))  # type: ignore[misc]
            case "EndpointSlice":
                one = view(event.object, EndpointSlice)
                why = cause(one, gone)
                for family, tracker in self._trackers.items():
                    if family == one.address_type:
                        keys = tracker.slice(one, gone=gone)
                        self._tell(lambda p, f=family, k=keys: p.endpoints_changed(f, k, why))  # type: ignore[misc]
            case "Node" if (name := event.object["metadata"]["name"]) in self._proxies:
                self._proxies[name].node_changed(None if gone else view(event.object, Node))
                self._mind(name)

    def _tell(self, change: Callable[[KubeProxy], None]) -> None:
        for name, proxy in self._proxies.items():
            change(proxy)
            self._mind(name)
