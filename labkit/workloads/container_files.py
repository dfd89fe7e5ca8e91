"""What the processes of one container see of the files: its pod's view, with the container's volumes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from labkit.api.objects import Container
from labkit.errors import CommandError
from labkit.linux.filesystem import Filesystem
from labkit.workloads.pod_volumes import PodVolumes


class ContainerFiles:
    """A fresh `Filesystem` for each run of the container, made when a process first needs it."""

    def __init__(self, container: Container, volumes: PodVolumes) -> None:
        self._container = container
        self._volumes = volumes
        self._filesystem: Filesystem | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    @property
    def inode(self) -> int | None:
        """What tells the container's processes from all others; None while it has none."""
        return self._filesystem.inode if self._filesystem else None

    async def open(self, variables: Mapping[str, str]) -> Filesystem:
        """The files of this run; `variables` are for paths that refer to them. Raises `CommandError`, `OSError`."""
        async with self._opening:
            if self._filesystem is None:
                await self._volumes.make()
                if self._closed:
                    raise CommandError(f"container {self._container.name} has ended")
                self._filesystem = Filesystem(self._volumes.mounts(self._container, variables))
            return self._filesystem

    async def end(self) -> None:
        """End what runs in the container; the next run begins anew."""
        filesystem, self._filesystem = self._filesystem, None
        if filesystem:
            await filesystem.end()

    async def close(self) -> None:
        """End what runs in the container; there is no next run."""
        self._closed = True
        await self.end()
