"""A kube-proxy that finds out from the API server what its node needs.

    Node ── get, watch      Services, EndpointSlices, ServiceCIDRs ── list, watch
                └──> KubeProxy, from the moment that all of them are known

Source: Kubernetes v1.34, cmd/kube-proxy/app/server.go (newProxyServer, Run, birthCry), pkg/proxy/node.go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.cluster.proxy_ports import ProxyPorts
from labkit.errors import RuleError
from labkit.linux.iptables import Variant
from labkit.net.rules import Family
from labkit.proxy.client.api import HERE, Api, Raw, Refused
from labkit.proxy.client.kubeconfig import Access
from labkit.proxy.client.reflector import LOST, Reflector
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.family import Surroundings
from labkit.proxy.kube_proxy import KubeProxy
from labkit.proxy.model import PortKey
from labkit.proxy.modes import LASTING
from labkit.proxy.tracker import Tracker
from labkit.proxy.triggers import cause

PATIENCE = 0.25  # seconds between questions for the node, until it is there
SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"


class NodeProxy:
    """Serves the namespace that this process is in, as the proxy of the node called `name`."""

    def __init__(
        self, name: str, settings: Settings, variant: Variant, access: Access, agent: str, say: Callable[..., None]
    ) -> None:
        self._name = name
        self._settings = settings
        self._variant = variant
        self._say = say
        self._api = Api(access, self._count, agent)
        self._trackers: list[Tracker] = []
        self._proxy: KubeProxy | None = None
        self._ports: ProxyPorts | None = None
        self._begun = False
        self._requests: list[tuple[int, str, str]] = []  # before there is anything that counts them
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Never ends by itself. Raises what ended it."""
        node = await self._own_node()
        cidrs = await self._api.get(CIDRS)
        ranges = tuple(each for raw in cidrs.get("items") or () for each in raw["spec"].get("cidrs", ()))
        settings = Settings(self._settings.config, ranges)
        self._trackers = [Tracker(family) for family in _families(node)]
        proxy = self._proxy = KubeProxy(HERE, node, settings, self._variant, self._trackers, self._surroundings())
        for request in self._requests:
            self._count(*request)
        await proxy.prepare()
        self._ports = ProxyPorts(proxy, self._unheard)
        services = Reflector(
            self._api, SERVICES, self._service, self._say,
            labelSelector="!service.kubernetes.io/service-proxy-name", fieldSelector="spec.clusterIP!=None",
        )  # fmt: skip
        slices = Reflector(self._api, SLICES, self._slice, self._say, labelSelector="!service.kubernetes.io/headless")
        named = Reflector(
            self._api, "/api/v1/nodes", self._node, self._say, fieldSelector=f"metadata.name={self._name}"
        )
        for each in (services, slices, named):
            self._start(each.run())
        self._start(self._birth_cry())
        for each in (services, slices):
            await each.synced.wait()
        self._begun = True
        proxy.begin()
        await self._failed

    async def stop(self) -> None:
        """End; what is in the kernel alone stays there."""
        for task in list(self._tasks):
            task.cancel()
        if self._ports:
            self._ports.close()
        if self._proxy:
            self._proxy.stop()
            if self._settings.mode not in LASTING:
                await self._proxy.clean()

    async def _own_node(self) -> Node:
        complained = ""
        while True:
            try:
                node = view(await self._api.get(f"/api/v1/nodes/{self._name}"), Node)
            except (Refused, *LOST) as error:
                if complained != str(error):
                    complained = str(error)
                    self._say("E", "server.go:1160", "Failed to retrieve node info", {"err": complained})
                await asyncio.sleep(PATIENCE)
            else:
                ips = [a.address for a in node.status.addresses if a.type == "InternalIP"]
                self._say("I", "server.go:220", "Successfully retrieved NodeIPs", {"NodeIPs": ips})
                return node

    async def _birth_cry(self) -> None:
        moment = time.time()
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{self._name}.{int(moment * 1e9):x}", "namespace": "default"},
            "eventTime": f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
            "reportingController": "kube-proxy",
            "reportingInstance": f"kube-proxy-{self._name}",
            "action": "StartKubeProxy",
            "reason": "Starting",
            "regarding": {"kind": "Node", "name": self._name, "uid": self._name},
            "type": "Normal",
        }
        try:
            await self._api.create("/apis/events.k8s.io/v1/namespaces/default/events", event)
        except (Refused, *LOST) as error:
            self._say("E", "event_broadcaster.go:279", "Unable to write event", {"err": str(error)})

    def _service(self, change: str, raw: Raw) -> None:
        for tracker in self._trackers:
            keys = tracker.service(view(raw, Service), gone=change == "DELETED")
            if self._begun and self._proxy:
                self._proxy.services_changed(tracker.family, keys)

    def _slice(self, change: str, raw: Raw) -> None:
        one, gone = view(raw, EndpointSlice), change == "DELETED"
        for tracker in self._trackers:
            if tracker.family == one.address_type:
                keys = tracker.slice(one, gone=gone)
                if self._begun and self._proxy:
                    self._proxy.endpoints_changed(tracker.family, keys, cause(one, gone))

    def _node(self, change: str, raw: Raw) -> None:
        if self._proxy:
            self._proxy.node_changed(None if change == "DELETED" else view(raw, Node))

    def _surroundings(self) -> Surroundings:
        later = asyncio.get_running_loop().call_later
        return Surroundings(self._start, later, lambda: None, lambda: False, self._say, self._refused)

    def _refused(self, refused: Mapping[PortKey, RuleError]) -> None:
        for (port, protocol), error in refused.items():
            facts = {"servicePortName": port, "protocol": protocol, "err": error.message}
            self._say("E", "proxier.go:1507", "Left out of the rules, as the node refuses it", facts)

    def _unheard(self, address: str, error: OSError) -> None:
        self._say("E", "server.go:441", "Failed to start a server", {"address": address, "err": str(error)})

    def _count(self, status: int, method: str, host: str) -> None:
        if self._proxy is None:
            self._requests.append((status, method, host))
        else:
            self._proxy.metrics.requests.add(code=str(status), host=host, method=method)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)


def _families(node: Node) -> list[Family]:
    """Those in which the node has an address; IPv4 where it has none."""
    own = {":" in a.address for a in node.status.addresses if a.type == "InternalIP"}
    families: list[tuple[Family, bool]] = [("IPv4", own != {True}), ("IPv6", True in own)]
    return [family for family, there in families if there]
