"""Start a lab: a sandbox, and in it a cluster."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from labkit.lab import arguments
from labkit.lab.lab import Lab
from labkit.lab.progress import Progress
from labkit.sandbox.start import Sandbox

ENTRY = "labkit.cluster.main:main"

_open: dict[str, Lab] = {}


def start(
    nodes: int = 3,
    zones: Sequence[str] = ("a", "b"),
    *,
    cni: str = "ptp",
    iptables: str = "",
    link: dict[str, Any] | None = None,
    seed: int = 0,
    name: str = "lab",
    progress: Callable[[str], None] | None = None,
) -> Lab:
    """Start a cluster and return it, with DNS answering.

    nodes     1 to 200 machines, spread over `zones` in turn
    cni       "ptp" (pods routed, as kindnet does) or "bridge" (pods on `cni0`)
    iptables  "nft" or "legacy": which of its two variants writes the nodes' rules; without it nft where it works
    link      what the links between zones do: {"bw": Mbit/s, "delay": "5ms"}, as Mininet takes it
    seed      of names and addresses: the same seed and manifests give the same ones
    name      an earlier lab of this name in this process is closed first
    progress  called with each step in words; without one, a notebook shows a line while it starts
    Raises `LabError` for arguments out of range, `SandboxError` where this machine has no sandbox for the lab.
    """
    arguments.check(nodes, zones, cni, iptables, link or {})
    if earlier := _open.pop(name, None):
        earlier.close()
    shown = Progress()
    say = progress or shown
    sandbox = Sandbox(ENTRY, handlers={"progress": lambda step: say(step)})
    Thread(target=_import_pandas, daemon=True).start()
    try:
        with shown:  # after the sandbox has begun to start: both take their time side by side
            facts = sandbox.call(
                "start", nodes=nodes, zones=list(zones), cni=cni, variant=iptables, link=link or {}, seed=seed
            )
    except BaseException:
        sandbox.close()
        raise
    lab = Lab(sandbox, facts)
    _open[name] = lab
    return lab


def _import_pandas() -> None:
    """A quarter of a second that the first table would take: spent while the lab starts in processes of its own."""
    import pandas  # noqa: F401


@atexit.register
def _close_all() -> None:
    for lab in _open.values():
        lab.close()
