"""Looks at the kernel from inside a sandbox: what a lab in it could not use. Run as a sandbox's entry by the doctor."""

from __future__ import annotations

import asyncio

from labkit.linux import probes
from labkit.linux.features import FEATURES
from labkit.sandbox.channel import Peer, Stream


def main(channel: Stream) -> None:
    """Serve one question, `missing`."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"missing": missing})
    await peer.closed()


def missing() -> dict[str, str]:
    """The features that are not there, each with the kernel's reason."""
    return probes.missing(feature.name for feature in FEATURES)
