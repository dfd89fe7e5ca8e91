"""Real kubectl programs of several versions: those beside the one on PATH, and Debian's 1.20."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

VERSIONS = ("1.20", "1.27", "1.30", "1.31", "1.33")
DEBIAN = "1.20"


@cache
def path(version: str) -> str:
    """Path of a kubectl; empty where this machine has none of the version."""
    found = shutil.which("kubectl")
    if found:
        beside = Path(found).resolve().with_name(f"kubectl.{version}")
        if beside.exists():
            return str(beside)
        told = subprocess.run([found, "version", "--client"], capture_output=True, text=True, timeout=20).stdout
        if re.search(rf'v{re.escape(version)}\.\d|Minor:"{version.partition(".")[2]}\D', told):
            return found
    return _unpacked() if version == DEBIAN else ""


def need(version: str) -> str:
    """Path of a kubectl; skips the test where this machine has none of the version."""
    return path(version) or pytest.skip(f"no kubectl {version} here")


def _unpacked() -> str:
    """Debian's package, unpacked into a temporary folder of this user's; empty where it cannot be had."""
    folder = Path(tempfile.gettempdir(), f"labkit-tests-kubectl-{os.getuid()}")
    program = folder / "usr" / "bin" / "kubectl"
    if not program.exists() and shutil.which("apt-get"):
        with tempfile.TemporaryDirectory() as downloads:
            fetch = ["apt-get", "download", "kubernetes-client"]
            if subprocess.run(fetch, cwd=downloads, capture_output=True, timeout=60).returncode:
                return ""
            (package,) = Path(downloads).glob("*.deb")
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    return str(program) if program.exists() else ""
