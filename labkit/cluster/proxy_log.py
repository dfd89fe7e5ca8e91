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
    """The latest lines. The process number is 1, that of a container's first process."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rest = bytearray()
        self._lines: deque[str] = deque(maxlen=KEPT)

    def say(self, level: str, place: str, message: str, facts: dict[str, Any]) -> None:
        self._lines.append(klog.line(level, self._now(), place, message, facts, 1))

    def unheard(self, address: str, error: OSError) -> None:
        """An address for HTTP cannot be had."""
        self.say(klog.ERROR, "server.go:441", "Failed to start a server", {"address": address, "err": str(error)})

    def take(self, data: bytes) -> None:
        """What a program wrote that is a proxy: pieces of lines, as they come."""
        self._rest += data
        *whole, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        self._lines.extend(f"{line.decode(errors='replace')}\n" for line in whole)

    def text(self) -> str:
        return "".join(self._lines)
