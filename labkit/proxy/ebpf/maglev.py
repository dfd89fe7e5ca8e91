"""The Maglev table of a Service: which endpoint each hash value leads to.

Every endpoint fills its share of the table, and when one comes or goes hardly any other entry changes. So two nodes
that never talk to each other send the same client to the same endpoint.
Source: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b

SIZE = 1021  # as in maps.h: a prime, at least a hundred times the number of endpoints for an even spread


@lru_cache(maxsize=256)
def table(names: tuple[str, ...], size: int = SIZE) -> tuple[int, ...]:
    """For each of `size` hash values (a prime) the position in `names` (different ones, at least one).

    Each name goes through the table in an order of its own, and takes the next free entry when it is its turn.
    """
    permutations = [_permutation(name, size) for name in names]
    turn = [0] * len(names)
    found = [-1] * size
    free = size
    while True:
        for position, (offset, skip) in enumerate(permutations):
            at = (offset + turn[position] * skip) % size
            while found[at] >= 0:
                turn[position] += 1
                at = (offset + turn[position] * skip) % size
            found[at] = position
            turn[position] += 1
            free -= 1
            if not free:
                return tuple(found)


def names(backends: Iterable[tuple[str, int, str]]) -> tuple[str, ...]:
    """What endpoints are called in the table; address, port and protocol of each."""
    return tuple(f"{ip}:{port}" for ip, port, _ in backends)


def _permutation(name: str, size: int) -> tuple[int, int]:
    """Offset and step of a name's way through the table: from two hashes that are independent of each other."""
    digest = blake2b(name.encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big") % size, int.from_bytes(digest[8:], "big") % (size - 1) + 1
