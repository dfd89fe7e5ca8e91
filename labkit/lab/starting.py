"""Start a lab: a sandbox, and in it a cluster."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from labkit.errors import LabError
from labkit.lab.lab import Lab
from labkit.lab.progress import Progress
from labkit.net.topology import plan
from labkit.sandbox.start import Sandbox

ENTRY = "labkit.cluster.main:main"
CNI = ("ptp", "bridge")

_open: dict[str, Lab] = {}


def start(
    nodes: int = 3,
    zones: Sequence[str] = ("a", "b"),
    *,
    cni: str = "ptp",
    link: dict[str, Any] | None = None,
    seed: int = 0,
    name: str = "lab",
    progress: Callable[[str], None] | None = None,
) -> Lab:
    """Start a cluster and return it, with DNS answering.

    nodes     1 to 200 machines, spread over `zones` in turn
    cni       "ptp" (pods routed, as kindnet does) or "bridge" (pods on `cni0`)
    link      what the links between zones do: {"bw": Mbit/s, "delay": "5ms"}, as Mininet takes it
    seed      of names and addresses: the same seed and manifests give the same ones
    name      an earlier lab of this name in this process is closed first
    progress  called with each step in words; without one, a notebook shows a line while it starts
    Raises `LabError` for arguments out of range, `SandboxError` where this machine has no sandbox for the lab.
    """
    if cni not in CNI:
        raise LabError(f"cni is {cni!r}: choose one of {', '.join(CNI)}")
    try:
        plan(nodes, list(zones))
    except ValueError as error:
        raise LabError(str(error)) from error
    if earlier := _open.pop(name, None):
        earlier.close()
    shown = Progress()
    say = progress or shown
    sandbox = Sandbox(ENTRY, handlers={"progress": lambda step: say(step)})
    Thread(target=_import_pandas, daemon=True).start()
    try:
        with shown:  # after the sandbox has begun to start: both take their time side by side
            facts = sandbox.call("start", nodes=nodes, zones=list(zones), cni=cni, link=link or {}, seed=seed)
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
