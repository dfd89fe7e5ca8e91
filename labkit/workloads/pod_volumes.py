"""A pod's volumes while it lives: checked when it starts, made when a process first needs them, kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping

from labkit.api.objects import Container, Pod, ServiceAccountTokenProjection
from labkit.control.root_ca import NAME as ROOT_CA
from labkit.errors import CommandError
from labkit.linux.filesystem import Mount
from labkit.workloads import volumes
from labkit.workloads.background import Background
from labkit.workloads.fields import Facts
from labkit.workloads.sources import Sources
from labkit.workloads.volume_files import VolumeFiles

RENEWAL = 0.8
"""The part of a token's life after which the kubelet asks for another one (pkg/kubelet/token/token_manager.go)."""
RETRY = 60.0
"""Seconds after which it asks again for what it did not get."""

Tokens = Callable[[str, int], Awaitable[str]]
"""A token of the pod's ServiceAccount for an audience (empty: the API server), valid for so many seconds."""


class PodVolumes:
    """The built-in servers read no file: for them nothing is written."""

    def __init__(self, pod: Pod, facts: Facts, sources: Sources, tokens: Tokens) -> None:
        self._pod = pod
        self._facts = facts
        self._sources = sources
        self._tokens = tokens
        self._files = VolumeFiles(pod)
        self._made = False
        self._making = asyncio.Lock()
        self._renewal: asyncio.TimerHandle | None = None
        self._background = Background()

    def check(self) -> None:
        """Raises `CommandError` (details: volume) where something that a volume is made of is not there.

        The certificate that every namespace gets may be on its way: only who reads it has to wait for it.
        """
        try:
            if self._pod.spec.volumes:
                volumes.plan(self._pod, self._facts, self._sources, lambda _: "")
        except CommandError as error:
            if not self._awaited(error):
                raise

    async def make(self) -> None:
        """Write the files, once. Raises as `check` does, and `OSError`."""
        async with self._making:
            while not self._made and self._pod.spec.volumes:
                try:
                    await self._write()
                    self._made = True
                except CommandError as error:
                    if not self._awaited(error):
                        raise
                    await self._sources.changed()

    def mounts(self, container: Container, variables: Mapping[str, str]) -> list[Mount]:
        return self._files.mounts(container, variables)

    async def refresh(self, pod: Pod | None = None) -> None:
        """Something that the files are made of has changed (`pod`: its labels or annotations)."""
        self._pod = pod or self._pod
        async with self._making:
            if self._made:
                try:
                    await self._write()
                except CommandError:  # something is not there any more: what is mounted stays as it is
                    if self._renewal:
                        self._again_in(RETRY)

    def remove(self) -> None:
        """Nothing of them is left; what claims hold stays."""
        if self._renewal:
            self._renewal.cancel()
        self._background.cancel()
        if self._made:
            self._files.remove()
            self._made = False

    def _awaited(self, error: CommandError) -> bool:
        """Whether it is for the certificate alone that a volume cannot be filled."""
        return error.message == f'configmap "{ROOT_CA}" not found'

    async def _write(self) -> None:
        wanted = list(self._projections())
        tokens = {each: await self._tokens(each.audience, each.expiration_seconds) for each in wanted}
        self._files.write(volumes.plan(self._pod, self._facts, self._sources, tokens.__getitem__))
        if wanted:
            self._again_in(RENEWAL * min(each.expiration_seconds for each in wanted))

    def _again_in(self, seconds: float) -> None:
        """Renew the tokens then, and not at the time that was set before."""
        if self._renewal:
            self._renewal.cancel()
        self._renewal = asyncio.get_running_loop().call_later(seconds, self._renew)

    def _renew(self) -> None:
        self._background.start(self.refresh())

    def _projections(self) -> Iterator[ServiceAccountTokenProjection]:
        for volume in self._pod.spec.volumes:
            for part in volume.projected.sources if volume.projected else ():
                if part.service_account_token:
                    yield part.service_account_token
