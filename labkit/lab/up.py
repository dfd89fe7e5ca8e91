"""`labkit up`: a lab in the foreground, ended by SIGINT or SIGTERM."""

from __future__ import annotations

import atexit
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from labkit.errors import LabError, WaitTimeout
from labkit.lab.door import made_by_a_lab
from labkit.lab.starting import start

PATIENCE = 10.0  # seconds for the manifests' pods to be ready; what is not is said, and may still become so


def up(
    nodes: int,
    zones: Sequence[str],
    cni: str,
    manifests: Sequence[str],
    sandbox: str = "",
    kubeconfig: str = "",
    keep: str | None = None,
) -> int:
    """Start a lab, apply the manifests, show what runs, wait for a signal, end the lab.

    kubeconfig  a path that leads to the lab's kubeconfig for as long as the lab runs
    keep        the name under which the lab comes back; None: it does not
    Raises `LabError` for wrong arguments and manifests, `StateError` where what was kept cannot be used, `LabError`
    where the lab ends by itself.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in its background with SIGINT ignored
        signal.signal(number, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's wish
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        name = "lab" if keep is None else keep
        with start(nodes, zones, cni=cni, sandbox=sandbox, name=name, keep=keep is not None, progress=_say) as lab:
            print(lab)  # noqa: T201
            linked = _link(lab.kubeconfig, kubeconfig)
            for manifest in manifests:
                print(lab.apply(manifest))  # noqa: T201
            try:
                lab.wait(timeout=PATIENCE)
            except WaitTimeout as late:
                print(f"\n{late}")  # noqa: T201
            for table in (lab.nodes(), lab.services(None), lab.pods(None)):
                print(f"\n{table}")  # noqa: T201
            print(f"\nexport KUBECONFIG={shlex.quote(str(linked))}")  # noqa: T201
            print("The lab runs. Ctrl-C ends it.", flush=True)  # noqa: T201
            lab.join()
    except KeyboardInterrupt:
        left = "nothing is left of it" if keep is None else f"--keep {shlex.quote(keep)} brings it back"
        print(f"The lab has ended; {left}.", flush=True)  # noqa: T201
    return 0


def _link(made: Path, wanted: str) -> Path:
    """Let a path lead to the kubeconfig, until this process ends. Raises `LabError` where it cannot.

    A link is there whole or not at all, and leads nowhere once the lab has gone, whatever ended it.
    """
    if not wanted:
        return made
    path = Path(wanted).absolute()
    try:
        if _of_a_lab_that_is_gone(path):
            path.unlink()
        path.symlink_to(made)
    except OSError as error:
        remedy = "Name a file that does not exist yet, in a folder of yours."
        raise LabError(f"cannot make {path}: {error.strerror}. {remedy}") from None
    atexit.register(_unlink, path, made)
    return path


def _of_a_lab_that_is_gone(path: Path) -> bool:
    return path.is_symlink() and not path.exists() and made_by_a_lab(path.readlink())


def _unlink(path: Path, made: Path) -> None:
    """Take the link away, unless it has become something else."""
    if path.is_symlink() and path.readlink() == made:
        path.unlink()


def _say(step: str) -> None:
    print(f"… {step}", flush=True)  # noqa: T201


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
