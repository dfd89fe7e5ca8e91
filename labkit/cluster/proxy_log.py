"""What a node's kube-proxy logs, as `kubectl logs` would show it of a real one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

from labkit.proxy import klog

KEPT = 1000
"""Lines."""


class ProxyLog:
    """The latest lines. The process number is 1, that of a container's first process. `heard`: told of each line."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.heard: Callable[[str], None] = lambda text: None
        self._rest = bytearray()
        self._lines: deque[str] = deque(maxlen=KEPT)

    def say(self, level: str, place: str, message: str, facts: dict[str, Any]) -> None:
        self._add(klog.line(level, self._now(), place, message, facts, 1))

    def unheard(self, address: str, error: OSError) -> None:
        """An address for HTTP cannot be had."""
        self.say(klog.ERROR, "server.go:441", "Failed to start a server", {"address": address, "err": str(error)})

    def take(self, data: bytes) -> None:
        """What a program wrote that is a proxy: pieces of lines, as they come."""
        self._rest += data
        *whole, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        for line in whole:
            self._add(f"{line.decode(errors='replace')}\n")

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self.heard(line)

    def text(self) -> str:
        return "".join(self._lines)
