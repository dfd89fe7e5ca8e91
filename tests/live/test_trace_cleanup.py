"""However a trace ends, nothing of it stays: rules, the choice of logger, sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from inside import VARIANTS, in_sandbox
from trace_bed import SERVICES, Bed, taken

from labkit.errors import NetlinkError, TraceError
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.linux.nflog import NfLog
from labkit.linux.nfttrace import NftTrace
from labkit.net.rules import parse
from labkit.trace.tracer import Tracer


def state(bed: Bed) -> tuple[Any, ...]:
    """What a trace might leave behind: rules, the choice of logger, sockets of the families that only it uses."""
    rules, loggers = [], []
    for name in ("node-1", "node-2", "node-3", "router"):
        path = bed.places[name].netns
        with netns.entered(path):
            loggers.append(Path("/proc/sys/net/netfilter/nf_log/2").read_text())
        if bed.variant is Variant.NFT:
            with netns.entered(path):
                listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
            rules.append(listed.stdout)
        else:
            iptables.save(path, bed.variant, "raw")  # an empty table appears when somebody looks at it, and stays
            rules.append(str(parse(iptables.save(path, bed.variant))))
    return rules, loggers, _sockets()


def _sockets() -> int:
    """Open packet and netlink sockets of this process."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            with socket.socket(fileno=os.dup(int(link.name))) as sock:
                found += sock.family in (socket.AF_PACKET, socket.AF_NETLINK)
        except OSError:  # not a socket
            continue
    return found


@VARIANTS
@in_sandbox
async def test_nothing_is_left_behind(variant: str) -> None:
    bed = Bed("ptp", Variant(variant))
    await bed.serve()
    tracer = Tracer(bed.variant)
    before = state(bed)
    everywhere, client = list(bed.places.values()), bed.places["client"]

    await taken(bed, tracer, "client", SERVICES["far"])
    assert state(bed) == before

    async def fails() -> Mapping[str, Any]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await tracer.trace(everywhere, client, "tcp://10.0.0.1:80", fails)
    assert state(bed) == before

    started = asyncio.Event()

    async def hangs() -> Mapping[str, Any]:
        started.set()
        return await asyncio.Future()

    task = asyncio.create_task(tracer.trace(everywhere, client, "tcp://10.0.0.1:80", hangs))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert state(bed) == before

    async def quiet() -> Mapping[str, Any]:
        return {"error": "could not resolve web.nowhere: NXDOMAIN"}

    with pytest.raises(TraceError, match=r"no packet for http://web\.nowhere left client: could not"):
        await tracer.trace(everywhere, client, "http://web.nowhere", quiet)
    assert state(bed) == before


@VARIANTS
@in_sandbox
async def test_what_cannot_be_set_up_is_taken_back(variant: str) -> None:
    """Somebody else traces on one node already: the trace fails, and nothing of it stays on the others."""
    bed = Bed("ptp", Variant(variant))
    await bed.serve()
    tracer = Tracer(bed.variant)
    before = state(bed)
    path = bed.places["node-2"].netns
    other = NftTrace(path, "TCP", []) if bed.variant is Variant.NFT else NfLog(path, 0)
    with pytest.raises(NetlinkError, match="node-2"):
        await taken(bed, tracer, "client", SERVICES["far"])
    other.close()
    assert state(bed) == before
