"""Sizes of a terminal from the stream on which a client tells them: JSON objects, one after the other. Pure.

Source: handleResizeEvents in pkg/kubelet/cri/streaming/remotecommand/httpstream.go, TerminalSize of client-go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LARGEST = 4096


class Sizes:
    """Columns and rows from pieces of the stream; what is not such an object ends the telling, as it does there."""

    def __init__(self) -> None:
        self._text = ""
        self._broken = False
        self._decoder = json.JSONDecoder()

    def feed(self, data: bytes) -> Iterator[tuple[int, int]]:
        self._text += data.decode("latin-1")
        while not self._broken and (text := self._text.lstrip()):
            try:
                size, end = self._decoder.raw_decode(text)
            except (json.JSONDecodeError, RecursionError):
                self._broken = len(text) > LARGEST or not text.startswith("{")
                return
            self._text = text[end:]
            fields: dict[str, Any] = {k.lower(): v for k, v in size.items()} if isinstance(size, dict) else {}
            columns, rows = (fields.get(name, 0) for name in ("width", "height"))
            if not fields or not all(type(n) is int and 0 <= n <= 0xFFFF for n in (columns, rows)):
                self._broken = True
                return
            yield columns, rows
