"""Lines as Kubernetes' components log them.

    I0102 15:04:05.000000       1 server.go:483] "Version info" version="v1.34.0"

Source: klog v2, internal/serialize and internal/buffer.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

import msgspec

INFO, WARNING, ERROR = "I", "W", "E"


def line(level: str, now: datetime, place: str, message: str, facts: dict[str, Any], process: int | None = None) -> str:
    """One line, with its end. `place`: file and line, as `proxier.go:733`; `facts`: what is said about it, in order."""
    number = os.getpid() if process is None else process
    head = f"{level}{now:%m%d %H:%M:%S.%f} {number:7d} {place}]"
    said = "".join(f" {name}={_value(value)}" for name, value in facts.items())
    return f"{head} {_quoted(message)}{said}\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, BaseException):
        return _quoted(str(value))
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
