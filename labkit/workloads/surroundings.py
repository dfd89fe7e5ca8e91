"""What the containers of one pod share, and how they say what happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from labkit.api.objects import Pod
from labkit.net.place import Place
from labkit.workloads.fields import Facts
from labkit.workloads.pod_volumes import PodVolumes
from labkit.workloads.sources import Sources


@dataclass
class Surroundings:
    """`pod` as it was last told; `first_delay`: seconds before the second restart of a container.

    changed()                                follows every change of a container's status
    event(container, type, reason, message)  is what the kubelet would record
    withdrawn                                set when no node sends new connections to the pod any more
    """

    pod: Pod
    place: Place
    facts: Facts
    sources: Sources
    volumes: PodVolumes
    first_delay: float
    changed: Callable[[], None]
    event: Callable[[str, str, str, str], None]
    withdrawn: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def title(self) -> str:
        """The pod as the kubelet's messages name it."""
        return f"{self.pod.name}_{self.pod.namespace}({self.pod.metadata.uid})"
