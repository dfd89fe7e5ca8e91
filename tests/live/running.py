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
        self.events: list[str] = []
        self.runtime = Runtime(self._heard, first_delay)

    def _heard(self, event: str, params: Raw) -> None:
        assert params["uid"] == "u1"
        if event == "container":
            self.reports.append(params["statuses"])
        else:
            self.events.append(f"{params['type']} {params['reason']} {params['message']}")

    async def start(self, *containers: Raw, **spec: Any) -> list[Raw]:
        pod = {
            "metadata": {"name": "pod-1", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}},
            "spec": {"nodeName": "node", "containers": list(containers), **spec},
        }
        return await self.runtime.start_pod(place=msgspec.to_builtins(self.place), pod=pod)

    async def until(self, good: Callable[[Raw], bool], container: int = 0) -> Raw:
        """Wait for a report in which the container's status is as wanted."""
        async with asyncio.timeout(10):
            while True:
                for statuses in self.reports:
                    if good(statuses[container]):
                        return statuses[container]
                await asyncio.sleep(0.01)

    async def stop(self, grace: float = 5) -> None:
        await self.runtime.stop_pod("u1", grace)


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
