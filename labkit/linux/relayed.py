"""Which connection went where: nobody but a process that passes them on knows, for the kernel sees two of them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

MOST = 20_000

T = TypeVar("T")


class Relayed(Generic[T]):
    """Where each client's connection went, the last `MOST` of them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._ends: dict[tuple[str, object, Any, int], T] = {}

    def note(self, protocol: str, own: object, client: tuple[Any, ...], end: T) -> None:
        """`client`: the address of a socket, as the process sees it; `own`: the process's, as it is asked for."""
        key = (protocol, own, client[0], client[1])
        self._ends.pop(key, None)  # a port is used again: the newest come last
        self._ends[key] = end
        if len(self._ends) > self._most:
            del self._ends[next(iter(self._ends))]

    def find(self, protocol: str, own: object, client: tuple[str, int]) -> T | None:
        """None where nothing is known of it."""
        return self._ends.get((protocol, own, *client))
