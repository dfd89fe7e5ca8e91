"""A program at a terminal, as somebody sits at one."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

import pytest


class Terminal:
    """A program that runs at a terminal of the given size."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], columns: int = 90, rows: int = 30) -> None:
        self._master, slave = os.openpty()
        self.seen = ""
        self._size(columns, rows)
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        self._size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def until(self, pattern: str, seconds: float = 20) -> str:
        """Wait for output that matches; returns what the pattern's group did. What was seen is not seen again."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            try:
                data = os.read(self._master, 65536) if ready else b""
            except OSError:  # the program has ended
                data = b""
            if not data:
                pytest.fail(f"no {pattern!r} in {self.seen!r}")
            self.seen += data.decode()
        self.seen = self.seen[found.end() :]
        return found[found.lastindex or 0]

    def wait(self) -> int:
        return self.process.wait(20)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
