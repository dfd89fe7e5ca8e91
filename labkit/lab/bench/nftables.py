"""kube-proxy's nftables mode with many Services, beside `nft` fed the same text. To be called inside a sandbox."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator

from labkit.errors import CommandError
from labkit.linux import netns
from labkit.linux.nftables.kernel import NfTables
from labkit.linux.nftables.messages import Messages
from labkit.net.nft import Table
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port
from labkit.proxy.nftables.frame import SERVICE_IPS
from labkit.proxy.nftables.mode import NftablesMode

ENDPOINTS = 2
PIECE = 80_000  # bytes of text, less than half of what it is as netlink messages
CHANGES = 5  # Services added one by one, of which the median counts


async def nftables(services: int) -> dict[str, float]:
    """Seconds by what they were spent on; `services` of two endpoints each.

    load, change          first load of all, and one Service more
    check                 the least that leads somewhere: one more element of the map, after which the kernel walks the
                          whole table anew (net/netfilter/nf_tables_api.c, nft_table_validate)
    nft load, nft change  the same by `nft -f`; all of it in pieces, as nft may not enlarge its buffer in a sandbox
    """
    path = netns.create("bench-nftables")
    mode = NftablesMode(path)
    try:
        began = time.perf_counter()
        text = await mode.sync(_view(services), None)
        found = {"load": time.perf_counter() - began}
        changes = [await _added(mode, services + number) for number in range(1, CHANGES + 1)]
        found["change"] = _median([seconds for seconds, _ in changes])
        found["check"] = _median([_led(path, mode.plan, number) for number in range(CHANGES)])
        await mode.sync(_view(services), None)
        found["nft change"] = _median([await asyncio.to_thread(_nft, path, told) for _, told in changes])
        await mode.stop()
        found["nft load"] = sum([await asyncio.to_thread(_nft, path, piece) for piece in _pieces(text)])
        await mode.stop()
    finally:
        netns.delete(path)
    return found


async def _added(mode: NftablesMode, services: int) -> tuple[float, str]:
    """One Service more than there were: seconds, and the text of the change."""
    view = _view(services)
    began = time.perf_counter()
    text = await mode.sync(view, {view.keys[-1]})
    return time.perf_counter() - began, text


def _led(path: str, plan: Table, number: int) -> float:
    """One more address that leads to a chain that is there."""
    key, element = next(iter(plan.elements[SERVICE_IPS].items()))
    added = (f"10.255.0.{number}", *key[1:])
    make = Messages(plan.family, plan.name)
    with NfTables(path, plan.family) as kernel:
        began = time.perf_counter()
        kernel.apply([[*make.add_elements(SERVICE_IPS, [(added, element)])]])
        return time.perf_counter() - began


def _nft(path: str, text: str) -> float:
    """Seconds. Raises `CommandError` where it fails."""
    began = time.perf_counter()
    with netns.entered(path):
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(f"nft -f failed: {done.stderr.strip()[:500]}")
    return time.perf_counter() - began


def _pieces(text: str) -> Iterator[str]:
    """The lines in order, in pieces of which each is a transaction of a size that is always possible."""
    begin = 0
    while begin < len(text):
        end = text.find("\n", begin + PIECE) + 1 or len(text)
        yield text[begin:end]
        begin = end


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
