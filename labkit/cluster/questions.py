"""What a notebook asks of places: requests, commands, logs, traces, and where everything is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from labkit.api.objects import Pod
from labkit.apiserver.duties import LogOptions
from labkit.cluster.answers import Answers
from labkit.cluster.datacenter import DataCenter
from labkit.cluster.kubelet import Kubelet
from labkit.cluster.logs import Logs
from labkit.cluster.node_rules import NodeRules
from labkit.control.store import Raw, Store
from labkit.errors import NotFound
from labkit.net.place import Place
from labkit.sandbox.channel import Handler, Peer


class Questions:
    """Finds the place that is meant, lets the right process do the work, adds what only control knows."""

    def __init__(
        self,
        store: Store,
        datacenter: DataCenter,
        kubelet: Kubelet,
        rules: NodeRules,
        answers: Answers,
        roles: Mapping[str, Peer],
        logs: Logs,
    ) -> None:
        self._store = store
        self._datacenter = datacenter
        self._kubelet = kubelet
        self._rules = rules
        self._answers = answers
        self._roles = roles
        self._logs = logs

    def handlers(self) -> dict[str, Handler]:
        names = ("find_place", "topology", "request", "run", "logs", "trace", "events", "cni_result")
        return {name: getattr(self, name) for name in names}

    def find_place(self, kind: str, name: str) -> str:
        """The full name of what a learner called `name`; `kind` is "pod", "node" or "host".

        A pod may be named by its beginning where only one pod fits. Raises `NotFound` with what there is.
        """
        if kind == "pod":
            return self._pod(name)
        wanted = ("node",) if kind == "node" else ("router", "outside")
        there = [p.name for p in self._datacenter.places.values() if p.kind in wanted]
        if name not in there:
            raise NotFound(f"there is no {kind} {name!r}; there are {', '.join(sorted(there))}")
        return name

    def topology(self) -> Raw:
        """`places`: machines, switches, and pods that have a network; `links`: what is plugged into what."""
        machines = self._datacenter.places
        pods = [p for p in self._kubelet.places() if p.netns != machines[p.node].netns]
        return {"places": msgspec.to_builtins([*machines.values(), *pods]), "links": self._datacenter.links}

    def events(self) -> list[Raw]:
        """The Events of all namespaces in the columns of `kubectl get events`, in the order of their times."""
        found = sorted(self._store.list("Event"), key=lambda e: (e["lastTimestamp"] or "", self._store.created(e)))
        return [
            {
                "TYPE": event["type"],
                "REASON": event["reason"],
                "OBJECT": f"{event['involvedObject']['kind'].lower()}/{event['involvedObject']['name']}",
                "MESSAGE": event["message"],
            }
            for event in found
        ]

    async def request(self, source: str, url: str, **options: Any) -> list[Raw]:
        """Requests from a place; each row says which pod really answered."""
        place = self._place(source)
        protocol = "udp" if url.startswith("udp:") else "tcp"
        rows: list[Raw] = await self._roles["traffic"].call(
            "request",
            place=msgspec.to_builtins(place),
            nat=self._translators(place),
            machines=self._answers.machines,
            balanced=self._answers.balanced,
            url=url,
            cookies=self._answers.by_socket,
            **options,
        )
        await self._answers.name(place, protocol, rows)
        answering = self._by_address()
        for row in rows:
            pod = answering.get((row["server"] or "").rpartition(":")[0].strip("[]"))
            row["pod"] = pod.name if pod else ""
            row["node"] = pod.spec.node_name if pod else ""
            row["zone"] = self._datacenter.places[pod.spec.node_name].zone if pod else ""
        return rows

    async def run(self, place: str, command: str | list[str], timeout: float, stdin: str, env: dict[str, str]) -> Raw:
        value: Raw = await self._roles["workload"].call(
            "run",
            place=msgspec.to_builtins(self._place(place)),
            command=command,
            timeout=timeout,
            stdin=stdin.encode(),
            env=env,
        )
        return value

    async def logs(self, pod: str, container: str) -> str:
        """What a container wrote; without a name the first one."""
        namespace, name = pod.split("/")
        found = self._store.get("Pod", namespace, name)
        first = container or found["spec"]["containers"][0]["name"]
        chunks = await self._logs.logs(found["metadata"]["uid"], first, LogOptions())
        return b"".join([chunk async for chunk in chunks]).decode(errors="replace")

    def cni_result(self, pod: str) -> Raw | None:
        """What the CNI plugin reported when it attached the pod; None for one in its node's own network."""
        namespace, name = pod.split("/")
        return self._kubelet.cni_result(self._store.get("Pod", namespace, name)["metadata"]["uid"])

    async def trace(self, source: str, url: str, timeout: float) -> Raw:
        """One traced request from a place; see `labkit.trace`."""
        places = [*self._datacenter.places.values(), *self._kubelet.places()]
        place = self._place(source)
        value: Raw = await self._roles["traffic"].call(
            "trace",
            places=msgspec.to_builtins(places),
            source=msgspec.to_builtins(place),
            nat=self._translators(place),
            url=url,
            variant="nft" if self._rules.mode == "nftables" else self._rules.variant.value,
            timeout=timeout,
        )
        return value

    def _place(self, name: str) -> Place:
        if name in self._datacenter.places:
            return self._datacenter.places[name]
        for place in self._kubelet.places():
            if place.name == name:
                return place
        raise NotFound(f"{name} does not run: `k.pods()` shows its state")

    def _translators(self, place: Place) -> list[str]:
        """The network namespaces that may translate the place's connections: its node, for those outside every node."""
        machines = self._datacenter.places
        if place.node:
            return [machines[place.node].netns]
        return [machine.netns for machine in machines.values() if machine.kind == "node"]

    def _pod(self, name: str) -> str:
        namespace, _, wanted = name.partition("/")
        there = sorted(p["metadata"]["name"] for p in self._store.list("Pod", namespace))
        if wanted in there:
            return name
        fitting = [pod for pod in there if pod.startswith(f"{wanted}-")]
        if len(fitting) == 1:
            return f"{namespace}/{fitting[0]}"
        which = f"several pods are called {wanted!r}" if fitting else f"there is no pod {wanted!r}"
        names = ", ".join(fitting or there) or "none"
        raise NotFound(f"{which} in namespace {namespace}: {names}")

    def _by_address(self) -> dict[str, Pod]:
        pods = self._store.views(Pod)
        return {each.ip: p for p in pods if not p.spec.host_network for each in p.status.pod_ips}
