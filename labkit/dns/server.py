"""The role of the lab's `dns` process: the servers of all CoreDNS pods, over one index of the cluster's objects.

    control -- event(type, object) --> Index <-- questions -- CoreDns (one per pod, in the pod's namespace)

The Corefile is that of the ConfigMap kube-system/coredns once its event has come, kubeadm's default before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from labkit.dns import corefile, output
from labkit.dns.corefile import Block
from labkit.dns.index import EventType, Index
from labkit.dns.pod import LOG_LENGTH, CoreDns
from labkit.dns.watched import CONFIG_MAP
from labkit.errors import LabError, NotFound
from labkit.net.place import Place

Notify = Callable[[str, dict[str, Any]], None]


class Server:
    """Handlers of the `dns` process.

    notify("corefile", {error})       a Corefile was not taken
    notify("output", {uid, text})     what a pod's server writes to its standard output
    """

    def __init__(self, notify: Notify, cluster_domain: str = "cluster.local") -> None:
        self._notify = notify
        self._index = Index()
        self._text = corefile.default(cluster_domain)
        self._blocks = corefile.parse(self._text)
        self._synced = False
        self._pods: dict[str, CoreDns] = {}
        self._reloads: set[asyncio.Task[None]] = set()
        self._reloading = asyncio.Lock()

    async def start_pod(self, place: Mapping[str, Any], uid: str) -> None:
        """Open port 53 (UDP, TCP) and the pages of the Corefile's plugins in the pod's namespace.

        Raises `LabError` where the pod runs already or a port cannot be had.
        """
        if uid in self._pods:
            raise LabError(f"the DNS server of pod {place['name']} runs already: stop it first")

        def write(text: str) -> None:
            self._notify("output", {"uid": uid, "text": text})

        server = CoreDns(msgspec.convert(place, Place), self._index, self._blocks, lambda: self._synced, write)
        self._pods[uid] = server
        try:
            await server.start()
        except OSError as error:
            del self._pods[uid]
            raise LabError(f"the DNS server of pod {place['name']} cannot listen: {error}") from error
        write(output.started(self._blocks, self._text))

    def stop_pod(self, uid: str) -> None:
        """Close the pod's sockets, at once. Nothing happens for a pod in which no server runs."""
        if pod := self._pods.pop(uid, None):
            pod.write(output.ENDING)
            pod.close()

    def event(self, type: EventType, object: Mapping[str, Any]) -> None:  # noqa: A002 (a watch event's own field names)
        """Take a watch event of a Service, EndpointSlice, Namespace, Pod or ConfigMap; others are passed over."""
        meta = object.get("metadata", {})
        if object.get("kind") != "ConfigMap":
            self._index.apply(type, object)
        elif (meta.get("namespace"), meta.get("name")) == CONFIG_MAP and type != "DELETED":
            self._configure(object.get("data", {}).get("Corefile", ""))

    def synced(self) -> None:
        """Say that every object that exists has been told: from now on the pods' /ready answers 200."""
        self._synced = True

    def queries(self, uid: str, limit: int = LOG_LENGTH) -> list[dict[str, Any]]:
        """The last queries that a pod answered, oldest first: the fields of `pod.Asked`."""
        log: list[dict[str, Any]] = msgspec.to_builtins(list(self._running(uid).log)[-limit:])
        return log

    def _configure(self, text: str) -> None:
        """Take a new Corefile; running pods follow if they have the plugin reload. A faulty one changes nothing."""
        try:
            blocks = corefile.parse(text)
        except LabError as error:
            self._notify("corefile", {"error": error.message})
            for pod in self._followers():
                pod.write(output.not_reloaded(error.message))
            return
        if blocks == self._blocks:
            return
        followers = self._followers()
        self._blocks, self._text = blocks, text
        if followers:
            task = asyncio.get_running_loop().create_task(self._reload(followers, blocks, text))
            self._reloads.add(task)
            task.add_done_callback(self._reloads.discard)

    def _followers(self) -> list[CoreDns]:
        """The pods that take a new Corefile while they run."""
        return list(self._pods.values()) if any(block.reload for block in self._blocks) else []

    async def _reload(self, pods: list[CoreDns], blocks: tuple[Block, ...], text: str) -> None:
        async with self._reloading:  # one Corefile after the other, in the order in which they came
            for pod in pods:
                try:
                    await pod.reload(blocks)
                except OSError as error:
                    self._notify("corefile", {"error": f"{pod.place.name}: {error}"})
                    pod.write(output.not_reloaded(str(error)))
                else:
                    pod.write(output.reloaded(blocks, text))

    def _running(self, uid: str) -> CoreDns:
        pod = self._pods.get(uid)
        if pod is None:
            raise NotFound(f"no DNS server runs in a pod with uid {uid!r}")
        return pod
