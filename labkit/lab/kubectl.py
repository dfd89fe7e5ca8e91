"""The kubectl of this machine, run against a lab."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from labkit.errors import CommandError
from labkit.lab.handle import Output

MISSING = (
    "there is no kubectl on this machine's PATH: install it (kubernetes.io/docs/tasks/tools, or `sudo apt-get install "
    "kubernetes-client`), or use k.get(), k.table() and k.apply()"
)
VERSIONED = re.compile(r"kubectl\.1\.(\d+)")


def find() -> str:
    """Path of the newest kubectl. Raises `CommandError` where there is none.

    Some installations have a dispatcher by that name, which asks the server first: its programs lie beside it.
    """
    found = shutil.which("kubectl")
    if found is None:
        raise CommandError(MISSING)
    beside = Path(found).resolve().parent
    versions = {int(match[1]): path for path in beside.iterdir() if (match := VERSIONED.fullmatch(path.name))}
    return str(versions[max(versions)]) if versions else found


def run(command: str | Sequence[str], kubeconfig: Path, stdin: str, timeout: float) -> Output:
    """What kubectl gave. Raises `CommandError` where there is none, or it does not end in `timeout` seconds."""
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if words[:1] == ["kubectl"]:
        words = words[1:]
    shown = shlex.join(["kubectl", *words])
    try:
        done = subprocess.run(
            [find(), *words],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{shown!r} did not end within {timeout:g} s") from None
    return Output(shown, done.returncode, done.stdout, done.stderr)
