"""`cilium-dbg bpf lb list` on a node of a lab: the maps as the kernel has them, in Cilium's words.

Cilium's own program talks to Cilium's agent, which is not here; this one reads the maps of the node that it runs on.
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

from labkit.linux.bpf_map import Map, Table
from labkit.linux.iptables import BIN
from labkit.proxy.ebpf import PINS
from labkit.proxy.ebpf.decode import decode
from labkit.proxy.ebpf.maps import MAPS, Maps
from labkit.proxy.ebpf.plan import EbpfPlan, merged
from labkit.proxy.ebpf.tables import of_maps

NAME = "cilium-dbg"
ASKED = ["bpf", "lb", "list"]


def main(argv: list[str]) -> int:
    """Print the list; what else Cilium's program knows is told to be missing."""
    folder = Path(PINS, os.environ.get("HOSTNAME", ""))
    if argv != ASKED:
        sys.stderr.write(f"{NAME} of this lab knows one command: {NAME} {' '.join(ASKED)}\n")
        return 1
    plans = [_read(folder / family, maps) for family, maps in MAPS.items() if (folder / family).is_dir()]
    if not plans:
        sys.stderr.write(f"no eBPF maps of a node are here: run {NAME} on a node\n")
        return 1
    sys.stdout.write(str(merged(plans)))
    return 0


def _read(folder: Path, maps: Maps) -> EbpfPlan:
    found = {}
    for name in maps.order:
        with closing((Table if name == maps.maglev else Map).pinned(str(folder / name))) as opened:
            found[name] = opened.items()
    return decode(of_maps(found.items()), maps)


def provide() -> None:
    """Let the lab's programs find it."""
    BIN.mkdir(parents=True, exist_ok=True)
    script = BIN / NAME
    home = Path(__file__).parents[3]
    code = f"import sys; from {__spec__.name} import main; sys.exit(main(sys.argv[1:]))"
    script.write_text(f"#!/bin/sh\nPYTHONPATH='{home}' exec '{sys.executable}' -P -c '{code}' \"$@\"\n")
    script.chmod(0o755)
