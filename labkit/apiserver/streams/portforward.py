"""A port-forward from its first byte to its last, in each of the ways that clients know."""

from __future__ import annotations

from collections.abc import Sequence

from labkit.apiserver.streams.ends import Dial, Upgraded
from labkit.apiserver.streams.forward import Forward, over_channels
from labkit.apiserver.streams.handshake import TUNNEL, Accepted
from labkit.apiserver.streams.websocket import Tunnel, WebSocket


async def forward(accepted: Accepted, connection: Upgraded, ports: Sequence[int], dial: Dial, pod: str) -> None:
    """Serve until the client goes. `ports` matter to the channel protocol only."""
    try:
        if accepted.kind != "websocket":
            await Forward(connection, dial, pod).run()
        elif accepted.protocol == TUNNEL:
            await Forward(Tunnel(WebSocket(connection)), dial, pod).run()
        else:
            await over_channels(WebSocket(connection), "base64" in accepted.protocol, ports, dial, pod)
    except ConnectionError:
        pass
    finally:
        connection.close()
