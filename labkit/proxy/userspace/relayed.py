"""Which connection went where: nobody but the process knows, for the kernel sees two of them."""

from __future__ import annotations

from typing import Any

MOST = 20_000


class Relayed:
    """The endpoint of each client's connection, the last `MOST` of them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._endpoints: dict[tuple[str, int, Any, int], str] = {}

    def note(self, protocol: str, port: int, client: tuple[Any, ...], endpoint: str) -> None:
        """`client`: the address of a socket, as the process sees it; `port`: the process's own."""
        key = (protocol, port, client[0], client[1])
        self._endpoints.pop(key, None)  # a port is used again: the newest come last
        self._endpoints[key] = endpoint
        if len(self._endpoints) > self._most:
            del self._endpoints[next(iter(self._endpoints))]

    def find(self, protocol: str, port: int, client: tuple[str, int]) -> str:
        """Empty where nothing is known of it."""
        return self._endpoints.get((protocol, port, *client), "")
