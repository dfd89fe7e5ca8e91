"""kube-proxy's iptables mode with many Services, beside iptables-restore. Runs inside a sandbox."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence

import msgspec

from labkit.api.objects import EndpointSlice
from labkit.lab.bench.many import NODE, services
from labkit.lab.bench.nftables import nftables
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.proxy.iptables.mode import IptablesMode
from labkit.proxy.mode import view_of
from labkit.proxy.tracker import Tracker, tracked
from labkit.sandbox.channel import Peer, Stream

CHANGES = 5


def main(channel: Stream) -> None:
    """Serve `restored` and `nftables`."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"restored": restored, "nftables": nftables})
    await peer.closed()


async def restored(variant: str, n: int) -> dict[str, float]:
    """Seconds for all Services, for a change of one, and for one more, each beside iptables-restore fed the same text.

    "compute" is the CPU time of this process for one more.
    """
    chosen = Variant(variant)
    made, slices = services(n)
    tracker = tracked(made, slices)
    ours, bare = netns.create("ours"), netns.create("bare")
    mode = IptablesMode(ours, variant=chosen, fresh=True)
    found = {}
    began = time.perf_counter()
    text = await mode.sync(view_of(tracker, NODE), None)
    found["full"] = time.perf_counter() - began
    found["full bare"] = _restore(bare, text, chosen)
    changes = [_fewer(tracker, slices[n // 2 + i]) for i in range(CHANGES)]
    found |= await _one(mode, tracker, changes, bare, chosen, "changed")
    more = [_more(tracker, n + i) for i in range(CHANGES)]
    found |= await _one(mode, tracker, more, bare, chosen, "added")
    netns.delete(ours)
    netns.delete(bare)
    return found


async def _one(
    mode: IptablesMode,
    tracker: Tracker,
    changes: Sequence[frozenset[tuple[str, str]]],
    bare: str,
    variant: Variant,
    name: str,
) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [], f"{name} bare": [], f"{name} compute": []}
    for changed in changes:
        began, ticks = time.perf_counter(), time.process_time()
        text = await mode.sync(view_of(tracker, NODE), changed)
        taken[f"{name} compute"].append(time.process_time() - ticks)
        taken[name].append(time.perf_counter() - began)
        taken[f"{name} bare"].append(_restore(bare, text, variant))
    return {key: statistics.median(values) for key, values in taken.items()}


def _restore(path: str, text: str, variant: Variant) -> float:
    began = time.perf_counter()
    iptables.restore(path, text, variant)
    return time.perf_counter() - began


def _fewer(tracker: Tracker, one: EndpointSlice) -> frozenset[tuple[str, str]]:
    return tracker.slice(msgspec.structs.replace(one, endpoints=one.endpoints[:1]))


def _more(tracker: Tracker, number: int) -> frozenset[tuple[str, str]]:
    made, slices = services(1, number)
    return tracker.slice(slices[0]) | tracker.service(made[0])
