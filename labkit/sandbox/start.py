"""Start a sandbox, hold it, end it: the client's side of whichever kind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NoReturn

from labkit.errors import LabError, SandboxError, from_wire
from labkit.sandbox.channel import SERIAL_WINDOW, Handler
from labkit.sandbox.client import Ask, Client

LAUNCHERS = {"namespaces": "labkit.sandbox.namespaces", "uml": "labkit.sandbox.uml"}
MEMORY = 512  # megabytes of a kernel of its own
GRACE = 3.0  # seconds that a lab gets to end by itself once the channel is closed


class Sandbox:
    """A running sandbox: `call` asks the lab inside; `close` ends it and leaves nothing behind.

    entry     "module:function" that runs inside, called with the channel
    kind      "namespaces", or "uml" with a kernel of its own that has `memory` megabytes
    handlers  event name -> function, called in the channel's thread
    folder    a folder of the host that goes with the sandbox, however that ends
    state     a folder of the host that the lab may write to, alone: its kept state (`labkit.sandbox.state`)
    fds       descriptors that the lab inherits under their numbers; a kernel of its own inherits none
    Raises `SandboxError` where the sandbox cannot be made.
    """

    def __init__(
        self,
        entry: str,
        kind: str = "namespaces",
        handlers: Mapping[str, Handler] | None = None,
        memory: int = MEMORY,
        folder: str = "",
        state: str = "",
        fds: Sequence[int] = (),
    ) -> None:
        mine, theirs = socket.socketpair()
        self.kind = kind
        self._folder = folder
        self._failure: LabError | None = None
        self._stderr: deque[str] = deque(maxlen=200)
        command = [sys.executable, "-P", "-m", LAUNCHERS[kind], entry, str(theirs.fileno()), str(os.getpid())]
        command += [folder, state]
        command += [str(memory)] if kind == "uml" else []
        with theirs:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno(), *fds],
                start_new_session=True,  # Ctrl-C in a terminal or a cell is for the notebook alone
                text=True,
                errors="replace",
            )
        self._reader = threading.Thread(target=self._read_stderr, name="labkit stderr", daemon=True)
        self._reader.start()
        window = SERIAL_WINDOW if kind == "uml" else 0
        self._client = Client(mine, {**(handlers or {}), "failed": self._failed}, window)

    def forward(self, listener: socket.socket) -> None:
        """Let the lab serve what connects to a listening socket that it could not inherit."""
        self._client.forward(listener)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def call(self, method: str, /, *, within: float | None = None, **params: Any) -> Any:
        """Ask the lab. Raises what it raised; `SandboxError` with the cause when the lab has ended."""
        try:
            return self._client.call(method, within=within, **params)
        except SandboxError:
            if self._failure:
                raise self._failure from None
            with suppress(subprocess.TimeoutExpired):  # then it goes on, and said this of something else
                self.join(GRACE)
            raise

    def follow(self, work: Callable[[Ask], Coroutine[Any, Any, None]]) -> Future[None]:
        """Run `work` in the channel's thread for as long as the lab runs: see `Client.follow`."""
        return self._client.follow(work)

    def join(self, timeout: float | None = None) -> NoReturn:
        """Wait for the end of the lab, and raise `SandboxError` with its cause."""
        self.process.wait(timeout)
        self._reader.join(timeout)
        raise SandboxError(self._why_it_ended()) from None

    def close(self) -> None:
        """End the lab; every process and namespace of it is gone when this returns. May be called twice."""
        self._client.close()
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()  # the launcher: pid 1 inside goes with it, and everything with that
            self.process.wait()
        self._reader.join(GRACE)

    def _failed(self, error: dict[str, Any]) -> None:
        self._failure = from_wire(error)

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None  # noqa: S101 - stderr=PIPE above
        with self.process.stderr as lines:
            self._stderr.extend(lines)
        if self._folder:  # nobody is left in there; the launcher may have been killed
            shutil.rmtree(self._folder, ignore_errors=True)

    def _why_it_ended(self) -> str:
        code = self.process.returncode
        if not code:
            return "this lab is closed; start a new one with lab.start()"
        if said := "".join(self._stderr).strip():
            return f"the lab ended by an error inside:\n{said}"
        killed = -code if code < 0 else 256 - code  # the launcher's end, or what init reports of the lab's
        how = f"killed by signal {killed}" if killed <= signal.SIGRTMAX else f"exit code {code}"
        return f"the lab has ended ({how}); start a new one with lab.start()"
