"""Start a lab: a sandbox, and in it a cluster."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

from labkit.errors import LabError, MissingFeature, NoSandbox
from labkit.lab import arguments, choice, proxying, state
from labkit.lab.door import Door
from labkit.lab.lab import Lab
from labkit.lab.progress import Progress
from labkit.sandbox.channel import Handler
from labkit.sandbox.start import MEMORY, Sandbox
from labkit.sandbox.state import INSIDE

ENTRY = "labkit.cluster.main:main"

_open: dict[str, Lab] = {}


def start(
    nodes: int = 3,
    zones: Sequence[str] = ("a", "b"),
    *,
    cni: str = "ptp",
    proxy_mode: str = "",
    proxy_config: Mapping[str, Any] | str | Path | None = None,
    kube_proxy: str | Path = "",
    iptables: str = "",
    link: dict[str, Any] | None = None,
    sandbox: str = "",
    needs: Sequence[str] = (),
    memory: int = MEMORY,
    seed: int = 0,
    pace: float = 5.0,
    ip_families: Sequence[str] = ("IPv4",),
    service_node_port_range: str = "30000-32767",
    name: str = "lab",
    keep: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Lab:
    """Start a cluster and return it, with DNS answering.

    nodes     1 to 200 machines, spread over `zones` in turn
    cni       "ptp" (pods routed, as kindnet does) or "bridge" (pods on `cni0`)
    proxy_mode  how the nodes' kube-proxy works; "iptables" is Kubernetes' own default; "ipvs" comes with a kernel of
                its own where the machine's has no IPVS; "ebpf" is Cilium's way, and needs clang
    proxy_config  its whole KubeProxyConfiguration: a dict, a path or YAML text, with the real fields. It becomes the
              ConfigMap kube-system/kube-proxy; in a lab minSyncPeriod is 0 s unless it says another
    kube_proxy  a program that the pods of the DaemonSet kube-proxy run instead of the lab's own, such as the real one;
              it is given --config and --hostname-override, and the lab no longer knows when it has done its work
    iptables  "nft" or "legacy": which of its two variants writes the nodes' rules; without it nft where it works
    link      what the links between zones do: {"bw": Mbit/s, "delay": "5ms"}, as Mininet takes it
    sandbox   "namespaces", "uml" (a kernel of its own, User-Mode Linux) or "auto": the first where this machine has it
              and its kernel what the lab needs, else the second. Without it, what LABKIT_SANDBOX says, else "auto"
    needs     features of the kernel that will be used, such as "ipvs": `labkit doctor` lists them
    memory    megabytes for a kernel of its own
    seed      of names and addresses: the same seed and manifests give the same ones
    pace      how many times sooner than in a real cluster a silent node is given up, and its pods are evicted; 1 is
              real: 50 s, and 300 s more
    ip_families  of nodes, pods and Services: ("IPv4",), or both of ("IPv4", "IPv6")
    service_node_port_range  the node ports that Services may have, as kube-apiserver's flag of this name
    name      an earlier lab of this name in this process is closed first
    keep      the lab of this name comes back: its objects are kept in a file in the user's state directory
    progress  called with each step in words; without one, a notebook shows a line while it starts
    Raises `LabError` for arguments out of range, `NoSandbox` where this machine has no sandbox for the lab,
    `MissingFeature` where the one that was asked for lacks what the lab needs, `StateError` where what was kept cannot
    be used.
    """
    link = link or {}
    wanted = sandbox or os.environ.get("LABKIT_SANDBOX", "") or "auto"
    told = proxying.configuration(proxy_mode, proxy_config)
    proxy_mode = str(told.get("mode") or "iptables")
    arguments.check(nodes, zones, cni, proxy_mode, iptables, link)
    arguments.check_pace(pace)
    arguments.check_families(ip_families, proxy_mode, nodes)
    program = proxying.program(kube_proxy)
    node_ports = arguments.port_range(service_node_port_range)
    arguments.check_sandbox(wanted, memory, needs)
    if proxy_mode == "ebpf":
        from labkit.proxy.ebpf.image import image

        image()  # compiled where it can be kept, and what is missing for it is said, before anything is started
        if "IPv6" in ip_families:
            image("IPv6")
    if earlier := _open.pop(name, None):
        earlier.close()
    kept = str(state.folder(name)) if keep else ""
    shown = Progress()
    say = progress or shown
    asked = {
        "nodes": nodes, "zones": list(zones), "cni": cni, "proxy_config": told, "variant": iptables, "link": link,
        "seed": seed, "needs": arguments.features(cni, proxy_mode, iptables, link, needs), "pace": pace,
        "dual": len(ip_families) == 2, "node_ports": node_ports, "kube_proxy": program,
    }  # fmt: skip
    refused: dict[str, LabError] = {}
    with shown:
        for kind in choice.attempts(wanted):
            try:
                running, facts, door = _start(kind, memory, kept, asked, say)
            except (NoSandbox, MissingFeature) as error:
                refused[kind] = error
                continue
            lab = _open[name] = Lab(running, facts, choice.why(kind, wanted, refused), door)
            shown.done(lab.sandbox)
            return lab
    raise choice.failure(refused) from None


def _start(
    kind: str, memory: int, kept: str, asked: dict[str, Any], say: Callable[[str], None]
) -> tuple[Sandbox, dict[str, Any], Door]:
    """One attempt: the sandbox, the facts about the lab in it, and the way to its API."""
    if kind == "uml" and not asked["variant"]:
        asked = {**asked, "variant": "legacy"}  # its kernel has no other: it need not be found out
    door = Door()
    heard: dict[str, Handler] = {"progress": lambda step: say(step)}
    inherited = [door.listener.fileno()] if kind == "namespaces" else []
    asked |= {"kept": INSIDE if kept else "", "synchronous": "FULL" if kind == "uml" else "NORMAL"}
    sandbox = None
    try:
        sandbox = Sandbox(ENTRY, kind, heard, memory, str(door.folder), kept, inherited)
        Thread(target=_import_pandas, daemon=True).start()
        facts = sandbox.call("start", **asked, listener=inherited[0] if inherited else -1)
        door.open(sandbox)
        return sandbox, facts, door
    except BaseException:
        door.close()
        if sandbox:
            sandbox.close()
        raise


def _import_pandas() -> None:
    """A quarter of a second that the first table would take: spent while the lab starts in processes of its own."""
    import pandas  # noqa: F401


@atexit.register
def _close_all() -> None:
    for lab in _open.values():
        lab.close()
