"""The role of the `traffic` process: requests from any place, and traces of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from labkit.cluster.roles import Notify
from labkit.linux.iptables import Variant
from labkit.net.place import Place
from labkit.trace.tracer import Tracer
from labkit.traffic.traffic import Traffic

Raw = dict[str, Any]


class TrafficRole(Traffic):
    """`Traffic`'s handlers, and `trace`."""

    def __init__(self, notify: Notify) -> None:
        super().__init__(notify)
        self._tracer: Tracer | None = None

    async def trace(
        self, places: Sequence[Raw], source: Raw, url: str, variant: str, nat: Sequence[str], timeout: float
    ) -> Raw:
        """One request, watched; returns a `PacketPath` as plain values. `places` are all of the lab's."""
        if self._tracer is None:
            self._tracer = Tracer(Variant(variant))

        async def request() -> Mapping[str, Any]:
            return (await self.request(source, url, n=1, timeout=timeout, nat=nat))[0]

        everywhere = msgspec.convert(places, list[Place])
        path = await self._tracer.trace(everywhere, msgspec.convert(source, Place), url, request)
        value: Raw = msgspec.to_builtins(path)
        return value
