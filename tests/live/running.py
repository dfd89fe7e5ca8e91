"""A pod whose containers really run, for tests of the workload process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from pods import node_with_pods

from labkit.net.place import Place
from labkit.workloads.runtime import Runtime

Raw = dict[str, Any]


class Cluster:
    """A runtime with a client and one pod's place; what it reports is kept."""

    def __init__(self, first_delay: float = 0.3) -> None:
        _, (self.client, self.place) = node_with_pods(2)
        self.reports: list[list[Raw]] = []
        self.init_reports: list[list[Raw]] = []
        self.events: list[str] = []
        self.tokens: list[Raw] = []
        self.runtime = Runtime(self._heard, self._asked, first_delay)

    def _heard(self, event: str, params: Raw) -> None:
        assert event == "report"
        for said in params["events"]:
            assert said["uid"] == "u1"
            self.events.append(f"{said['type']} {said['reason']} {said['message']}")
        for pod in params["pods"]:
            assert pod["uid"] == "u1"
            self.reports.append(pod["statuses"]["containerStatuses"])
            self.init_reports.append(pod["statuses"].get("initContainerStatuses", []))

    async def _asked(self, method: str, **params: Any) -> str:
        assert method == "token"
        self.tokens.append(params)
        return f"token-{len(self.tokens)}"

    def tell(self, kind: str, name: str, data: Raw | None = None, change: str = "ADDED", **fields: Any) -> None:
        """An object that pods may refer to."""
        metadata = {"name": name, "namespace": "shop"}
        self.runtime.source(change, {"kind": kind, "metadata": metadata, "data": data or {}, **fields})

    async def start(self, *containers: Raw, **spec: Any) -> list[Raw]:
        """Start the pod; its containers' statuses thereupon."""
        pod = {
            "metadata": {"name": "pod-1", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}},
            "spec": {"nodeName": "node", "containers": list(containers), **spec},
        }
        facts = {"address": "10.244.1.3", "host": "172.18.1.11", "allocatable": {"cpu": "2", "memory": "4Gi"}}
        await self.runtime.start_pod(place=msgspec.to_builtins(self.place), pod=pod, facts=facts)
        return self.reports[-1]

    async def logs(self, container: str = "", previous: bool = False, **options: Any) -> str:
        """All that a container has written."""
        opened = self.runtime.open_log("u1", container, previous, **options)
        found = await self.runtime.read_log("u1", container, opened["run"], opened["start"])
        return str(found["data"].decode())

    async def said(self, text: str, container: str = "") -> str:
        """Wait until a container has written this; all that it wrote."""
        async with asyncio.timeout(10):
            while text not in (found := await self.logs(container)):
                await asyncio.sleep(0.01)
        return found

    async def heard(self, text: str) -> None:
        """Wait for an Event."""
        async with asyncio.timeout(10):
            while not any(text in event for event in self.events):
                await asyncio.sleep(0.01)

    async def until(self, good: Callable[[Raw], bool], container: int = 0) -> Raw:
        """Wait for a report in which the container's status is as wanted."""
        async with asyncio.timeout(10):
            while True:
                for statuses in self.reports:
                    if good(statuses[container]):
                        return statuses[container]
                await asyncio.sleep(0.01)

    async def stop(self, grace: float = 5) -> None:
        self.runtime.withdrawn(["u1"])
        await self.runtime.stop_pod("u1", grace)
        self.runtime.forget_pod("u1")


def running_in(place: Place) -> list[str]:
    """Command lines of the processes in a pod's network namespace."""
    inode = Path(place.netns).stat().st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns" / "net").stat().st_ino == inode:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
            except OSError:
                continue
    return found


async def nothing_in(place: Place) -> None:
    end = time.monotonic() + 5
    while left := running_in(place):
        assert time.monotonic() < end, left
        await asyncio.sleep(0.01)
