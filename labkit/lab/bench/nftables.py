"""kube-proxy's nftables mode with many Services, beside `nft` fed the same text. To be called inside a sandbox."""

from __future__ import annotations

import subprocess
import time

from labkit.linux import netns
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port
from labkit.proxy.nftables.mode import NftablesMode

ENDPOINTS = 2
CHANGES = 5  # Services added one by one, of which the median counts


async def nftables(services: int) -> dict[str, float]:
    """Seconds by what they were spent on; `services` of two endpoints each.

    load, change          first load of all, and one Service more
    nft load, nft change  the same by one `nft -f` each
    """
    path = netns.create("bench-nftables")
    mode = NftablesMode(path)
    try:
        began = time.perf_counter()
        text = await mode.sync(_view(services), None)
        found = {"load": time.perf_counter() - began}
        changes = [await _added(mode, services + number) for number in range(1, CHANGES + 1)]
        found["change"] = _median([seconds for seconds, _ in changes])
        await mode.stop()
        found["nft load"] = _nft(path, text)
        found["nft change"] = _median([_nft(path, told) for _, told in changes])
    finally:
        netns.delete(path)
    return found


async def _added(mode: NftablesMode, services: int) -> tuple[float, str]:
    """One Service more than there were: seconds, and the text of the change."""
    view = _view(services)
    began = time.perf_counter()
    text = await mode.sync(view, {view.keys[-1]})
    return time.perf_counter() - began, text


def _nft(path: str, text: str) -> float:
    began = time.perf_counter()
    with netns.entered(path):
        subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True)
    return time.perf_counter() - began


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _view(services: int) -> View:
    ports = {port.frontend.key: port for port in map(_port, range(services))}
    return View(ports, [*ports], services * ENDPOINTS, "node-1", "", ("172.18.1.11",))


def _port(number: int) -> Port:
    high, low = divmod(number, 250)
    name = f"ns-{number % 50}/service-{number:05}:http"
    frontend = Frontend(name, "tcp", f"10.{96 + high // 250}.{high % 250}.{low + 1}", 80)
    ips = (f"10.{128 + end}.{high}.{low + 1}" for end in range(ENDPOINTS))
    return Port(frontend, tuple(Backend(f"{ip}:8080", ip, "node-2") for ip in ips))
