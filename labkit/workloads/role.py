"""The role `workload` as control sees it: the containers of all pods, and the streams into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.errors import CommandError
from labkit.net.place import Place
from labkit.workloads.containers import ContainerRun
from labkit.workloads.runtime import Ask, Notify, Runtime
from labkit.workloads.streams import Streams
from labkit.workloads.tasks import RealProcess


class Workload(Runtime):
    """`Runtime`, with `Streams`: notify("stream", {number, do, values})."""

    def __init__(self, notify: Notify, ask: Ask) -> None:
        super().__init__(notify, ask)
        self._streams = Streams(notify)

    async def open_command(
        self,
        number: int,
        place: dict[str, Any],
        uid: str,
        container: str,
        command: Sequence[str],
        stdin: bool,
        tty: bool,
    ) -> None:
        """Run a command in a container, with what it sees. Raises `CommandError`."""
        inside = await self._in(uid, container).inside()
        await self._streams.command(number, msgspec.convert(place, Place), command, inside, stdin, tty)

    def open_attachment(self, number: int, place: dict[str, Any], uid: str, container: str) -> None:
        """Attach to a running container. Raises `CommandError`."""
        found = self._in(uid, container)
        source = found.task.input if isinstance(found.task, RealProcess) else None
        self._streams.attach(number, found.log, source)

    async def open_connection(self, number: int, place: dict[str, Any], port: int) -> None:
        """Connect to a port of a pod. Raises `CommandError`."""
        await self._streams.dial(number, msgspec.convert(place, Place), port)

    def stream(self, number: int, do: str, values: Sequence[Any]) -> None:
        """See `Streams`."""
        self._streams.stream(number, do, values)

    async def end_stream(self, number: int) -> None:
        """Nobody listens any more; returns when nothing of it is left."""
        await self._streams.end(number)

    def _in(self, uid: str, container: str) -> ContainerRun:
        """A container that runs."""
        if uid not in self._pods:
            raise CommandError(f'container not found ("{container}")')
        found = self._pods[uid].find(container)
        if not found.running:
            raise CommandError("container is in CONTAINER_EXITED state")
        return found
