"""The processes beside control: each a plain object in an asyncio loop of its own, forked from one parent.

    control ── channel ── workload     servers and commands of all pods
            ── channel ── dns          the CoreDNS pods' server
            ── channel ── traffic      requests, captures, traces

Whatever is imported by the time of the fork is shared memory. The public methods of the object are what control can
call; through its `Voice` it speaks up by itself.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from labkit.sandbox import syscalls
from labkit.sandbox.channel import Handler, Peer

Notify = Callable[[str, dict[str, Any]], None]


class Voice:
    """How a role speaks to control: `voice(event, params)` tells it something, `ask` wants an answer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def __call__(self, event: str, params: dict[str, Any]) -> None:
        self._peer.notify(event, **params)

    async def ask(self, method: str, **params: Any) -> Any:
        return await self._peer.call(method, **params)


Make = Callable[[Voice], object]


def fork(makers: Mapping[str, Make]) -> dict[str, socket.socket]:
    """Start one process for each role; returns control's ends of their channels. To be called before any loop runs."""
    channels: dict[str, socket.socket] = {}
    for name, make in makers.items():
        mine, theirs = socket.socketpair()
        if os.fork() == 0:
            syscalls.name_process(f"labkit-{name}")
            mine.close()
            for other in channels.values():
                other.close()
            _run(make, theirs)
        theirs.close()
        channels[name] = mine
    return channels


def _run(make: Make, channel: socket.socket) -> None:
    """The life of a role's process: it ends with its channel, and says why if that was not the reason."""
    try:
        asyncio.run(_serve(make, channel))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


async def _serve(make: Make, channel: socket.socket) -> None:
    handlers: dict[str, Handler] = {}
    peer = await Peer.over(channel, handlers)
    role = make(Voice(peer))
    handlers.update({name: getattr(role, name) for name in dir(role) if not name.startswith("_")})
    await peer.closed()
