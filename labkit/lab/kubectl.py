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
    """Path of the newest kubectl. Raises `CommandError` where there is none."""
    found = shutil.which("kubectl")
    if found is None:
        raise CommandError(MISSING)
    programs = versions(found)
    return programs[max(programs)] if programs else found


def versions(program: str) -> dict[int, str]:
    """The programs, by minor version, that lie beside one which only asks the server and then runs one of them."""
    beside = Path(program).resolve().parent
    return {int(match[1]): str(path) for path in beside.iterdir() if (match := VERSIONED.fullmatch(path.name))}


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
            env={**os.environ, "KUBECONFIG": str(kubeconfig), "KUBECACHEDIR": str(kubeconfig.parent / "cache")},
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"{shown!r} did not end within {timeout:g} s") from None
    return Output(shown, done.returncode, done.stdout, done.stderr)
