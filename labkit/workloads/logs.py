"""What a container wrote, kept as `kubectl logs` shows it."""

from __future__ import annotations

LIMIT = 1024 * 1024


class Log:
    """The last megabyte."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > 2 * LIMIT:  # cut seldom: it copies
            del self._data[:-LIMIT]

    def text(self) -> str:
        return self._data[-LIMIT:].decode(errors="replace")
