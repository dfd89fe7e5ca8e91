"""`labkit up`: a lab in the foreground, ended by SIGINT or SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from types import FrameType

from labkit.errors import WaitTimeout
from labkit.lab.starting import start

PATIENCE = 10.0  # seconds for the manifests' pods to be ready; what is not is said, and may still become so


def up(nodes: int, zones: Sequence[str], cni: str, manifests: Sequence[str], sandbox: str = "") -> int:
    """Start a lab, apply the manifests, show what runs, wait for a signal, end the lab.

    Raises `LabError` for wrong arguments and manifests, and where the lab ends by itself.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        with start(nodes, zones, cni=cni, sandbox=sandbox, progress=_say) as lab:
            print(lab)  # noqa: T201
            for manifest in manifests:
                print(lab.apply(manifest).to_string(index=False))  # noqa: T201
            try:
                lab.wait(timeout=PATIENCE)
            except WaitTimeout as late:
                print(f"\n{late}")  # noqa: T201
            for table in (lab.nodes(), lab.services(None), lab.pods(None)):
                print(f"\n{table.to_string(index=False)}")  # noqa: T201
            print("\nThe lab runs. Ctrl-C ends it.", flush=True)  # noqa: T201
            lab.join()
    except KeyboardInterrupt:
        print("The lab has ended; nothing is left of it.", flush=True)  # noqa: T201
    return 0


def _say(step: str) -> None:
    print(f"… {step}", flush=True)  # noqa: T201


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
