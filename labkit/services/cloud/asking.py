"""One health check of one node: over the network, from the cloud's own machine."""

from __future__ import annotations

import asyncio

from labkit.linux.httpclient import Plain, connect, encode, exchange
from labkit.services.cloud.settings import HealthCheck


async def answers(path: str, address: str, port: int, check: HealthCheck) -> bool:
    """Whether a node answers as it should: a connection that stands, or HTTP with a status from 200 to 399.

    path: the network namespace to ask from.
    """
    try:
        async with asyncio.timeout(check.timeout):
            sock = await connect(path, address, port)
            try:
                if check.protocol == "TCP":
                    return True
                request = encode("GET", f"{address}:{port}", check.path, {"User-Agent": "lab-cloud"}, b"", keep=False)
                reply = await exchange(Plain(sock), request)
            finally:
                sock.close()
    except (OSError, ValueError, TimeoutError):
        return False
    return 200 <= reply.status < 400
