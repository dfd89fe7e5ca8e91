"""One health check of one node: over the network, from the cloud's own machine."""

from __future__ import annotations

import asyncio

from labkit.linux.httpclient import Plain, connect, encode, exchange
from labkit.services.cloud.settings import HealthCheck

LATE = 0.1
"""Seconds by which a time-out itself may come too late: then the asker stood still, and the node is asked anew."""


async def answers(path: str, address: str, port: int, check: HealthCheck) -> bool:
    """Whether a node answers as it should: a connection that stands, or HTTP with a status from 200 to 399.

    path: the network namespace to ask from.
    """
    loop = asyncio.get_running_loop()
    while True:
        deadline = loop.time() + check.timeout
        try:
            async with asyncio.timeout_at(deadline):
                return await _asked(path, address, port, check)
        except TimeoutError:
            if loop.time() - deadline < LATE:
                return False
        except (OSError, ValueError):
            return False


async def _asked(path: str, address: str, port: int, check: HealthCheck) -> bool:
    sock = await connect(path, address, port)
    try:
        if check.protocol == "TCP":
            return True
        request = encode("GET", f"{address}:{port}", check.path, {"User-Agent": "lab-cloud"}, b"", keep=False)
        reply = await exchange(Plain(sock), request)
    finally:
        sock.close()
    return 200 <= reply.status < 400
