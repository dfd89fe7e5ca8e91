"""The first process inside the sandbox: forks the roles, then is control itself."""

from __future__ import annotations

import asyncio
import gc
import socket

from labkit.cluster.control import Control
from labkit.cluster.roles import fork
from labkit.cluster.traffic import TrafficRole
from labkit.dns.server import Server
from labkit.sandbox import syscalls
from labkit.sandbox.channel import Peer, Stream
from labkit.workloads.role import Workload

YOUNG = 20_000
"""New containers after which Python looks for cycles: the API's objects are trees of many small ones, and have none."""


def main(channel: Stream) -> None:
    """Serve the client on `channel` until it goes. What ends a role ends the lab: its traceback is on stderr."""
    syscalls.name_process("labkit-control")
    gc.set_threshold(YOUNG, 20, 20)
    roles = fork({"workload": lambda voice: Workload(voice, voice.ask), "dns": Server, "traffic": TrafficRole})
    asyncio.run(_control(channel, roles))


async def _control(channel: Stream, sockets: dict[str, socket.socket]) -> None:
    control = Control(lambda step: client.notify("progress", step=step))
    roles = {name: await Peer.over(sock, control.events) for name, sock in sockets.items()}
    control.roles.update(roles)
    client = await Peer.over(channel, control.handlers)
    control.tunnels.peer = client
    ends = {name: asyncio.ensure_future(peer.closed()) for name, peer in {"": client, **roles}.items()}
    await asyncio.wait(ends.values(), return_when=asyncio.FIRST_COMPLETED)
    if not ends[""].done():
        gone = ", ".join(name for name, end in ends.items() if end.done())
        raise SystemExit(f"the {gone} process of the lab ended")
