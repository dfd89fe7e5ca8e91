"""What pods take of the processor and of memory, for `metrics.k8s.io`."""

from __future__ import annotations

from collections.abc import Mapping

from labkit.sandbox.channel import Peer

Figures = dict[str, tuple[int, int]]
"""By container: nanoseconds of CPU time a second (so many billionths of a CPU), bytes of memory."""


class Metrics:
    """Asks the process in which the containers run; a rate is one between two questions, at least a second apart."""

    def __init__(self, roles: Mapping[str, Peer]) -> None:
        self._roles = roles

    async def metrics(self, uid: str) -> Figures:
        """One pod's figures; empty for one that does not run."""
        return (await self.all()).get(uid, {})

    async def all(self) -> dict[str, Figures]:
        """Every running pod's figures, by uid."""
        measured = await self._roles["workload"].call("usage")
        return {uid: {name: (cpu, size) for name, (cpu, size) in of.items()} for uid, of in measured.items()}
