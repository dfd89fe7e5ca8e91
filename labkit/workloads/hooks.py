"""Life-cycle hooks: what a container wants to be done after its start and before its end.

Source: pkg/kubelet/lifecycle/handlers.go.
"""

from __future__ import annotations

import asyncio

from labkit.api.objects import Container, LifecycleHandler
from labkit.net.place import Place
from labkit.workloads import checks
from labkit.workloads.checks import Run

HTTP_TIMEOUT = 30.0


async def succeeded(handler: LifecycleHandler, container: Container, place: Place, run: Run) -> bool:
    """Do what the hook says. An HTTP answer is a success whatever its status."""
    if handler.exec:
        done = await run(list(handler.exec.command))
        return done.code == 0
    if handler.sleep:
        await asyncio.sleep(handler.sleep.seconds)
    if handler.http_get:
        try:
            port = checks.port_number(handler.http_get.port, container)
            await checks.get(handler.http_get, port, place, HTTP_TIMEOUT, checks.HOOK_AGENT)
        except (OSError, ValueError):
            return False
    return True
