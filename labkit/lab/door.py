"""The way from this machine into the lab's API: a port on the loopback, and the kubeconfig that says so."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from labkit.sandbox.start import Sandbox

BACKLOG = 128
PREFIX = "labkit-"
NAME = "kubeconfig"


class Door:
    """A listening socket on 127.0.0.1, and a folder of this user's that goes with the lab."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._port: int = self.listener.getsockname()[1]

    def open(self, sandbox: Sandbox) -> None:
        """Give the socket to the lab, which has inherited it, or is led to what it accepts."""
        if sandbox.kind == "uml":
            sandbox.forward(self.listener)
        else:
            self.listener.close()

    def close(self) -> None:
        """Let nobody in: for a lab that did not start."""
        self.listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kubeconfig(self, sandbox: Sandbox) -> Path:
        """The path of the kubeconfig, which is written when it is first asked for."""
        path = self.folder / NAME
        if not path.exists():
            text: str = sandbox.call("kubeconfig", server=f"https://127.0.0.1:{self._port}")
            with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(text)
        return path


def made_by_a_lab(path: Path) -> bool:
    """Whether this is where a lab, running or gone, has its kubeconfig."""
    return path.name == NAME and path.parent.name.startswith(PREFIX)
