"""Sockets that talk UDP to an endpoint that has gone: they would go on for ever, and are ended.

TCP notices by itself, and Cilium leaves it alone too. A socket is one of a Service's client where the map of sockets
knows it with that endpoint. Source: cilium pkg/loadbalancer/reconciler/termination.go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

from labkit.linux.sock_diag import Sockets

Ends = frozenset[tuple[bytes, int]]
"""Addresses, in network order, and ports."""


def clients(remembered: Iterable[bytes], width: int, gone: Ends) -> dict[int, Ends]:
    """The cookies of sockets that have gone to these endpoints, by keys of the map of sockets (struct revnat_tuple)."""
    found: dict[int, Ends] = {}
    for key in remembered:
        end = key[8 : 8 + width], int.from_bytes(key[8 + width : 10 + width], "big")
        if end in gone:
            cookie = int.from_bytes(key[:8], "little")
            found[cookie] = found.get(cookie, frozenset()) | {end}
    return found


def terminate(paths: Collection[str], asked: Mapping[int, Ends]) -> int:
    """End those of the sockets (`clients`) that are in these namespaces and connected there still; returns how many.

    Raises `MissingFeature` where the kernel cannot.
    """
    ended = 0
    for path in paths:
        with suppress(FileNotFoundError), Sockets(path) as sockets:  # a pod that has gone meanwhile
            for one in list(sockets.connected()):
                if (one.address, one.port) in asked.get(one.cookie, ()):
                    sockets.destroy(one)
                    ended += 1
    return ended
