"""What nodes and controllers do for the API server. Light: it is imported long before the server is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from labkit.apiserver.api import Verb


class LogOptions(msgspec.Struct, frozen=True):
    """PodLogOptions, without the container."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: str = ""
    tail_lines: int | None = None
    limit_bytes: int | None = None


ReadLog = Callable[[str, str, LogOptions], Awaitable[AsyncIterator[bytes]]]
"""Gets a pod's uid, a container's name (empty: the only one), options. Raises `ApiError` before the first piece."""
Evict = Callable[[str, str, dict[str, Any]], None]
"""Gets a pod's namespace and name, and the DeleteOptions. Raises TooManyRequests where a budget forbids it."""


@dataclass(frozen=True)
class Duties:
    """`more`: handlers of further subresources, by "pods/exec"."""

    read_log: ReadLog
    evict: Evict
    more: Mapping[str, Verb]
