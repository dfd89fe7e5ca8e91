"""What the proxy process did for one Service port."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """accepted: connections, or UDP clients, that came in; dialled: attempts to reach an endpoint; failed: those that
    came in and got none; copied: bytes through the process, in both directions.
    """

    accepted: int = 0
    dialled: int = 0
    failed: int = 0
    copied: int = 0
