"""Repeatable chance: the names, uids and numbers that a real cluster draws at random.

Each draw is a hash of the lab's seed, of what it is for, and of how many were drawn for that before. So the same
objects get the same names in every run, whatever else the lab holds and in whatever order it was made; and what is
deleted and made anew gets a new name, as in a real cluster.
"""

from __future__ import annotations

import hashlib
from collections import Counter

# k8s.io/apimachinery/pkg/util/rand: no vowels and no look-alikes, so that no words and no misreadings arise.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
LONGEST_BASE = 63 - SUFFIX_LENGTH  # k8s.io/apiserver/pkg/storage/names


class Chance:
    """Draws that depend on the seed and on what they are for, not on the order of other draws.

    `drawn` counts them by purpose; `fresh_since_kept` has the purposes whose counts the kept state does not know yet.
    `undo` has the counts as they were, of what is drawn while it is not None: `take_back` makes them so again.
    """

    def __init__(self, seed: int) -> None:
        self._seed = f"{seed}\0"
        self.drawn: Counter[tuple[str, ...]] = Counter()
        self.fresh_since_kept: set[tuple[str, ...]] = set()
        self.undo: dict[tuple[str, ...], int] | None = None

    def take_back(self) -> None:
        for purpose, times in (self.undo or {}).items():
            if times:
                self.drawn[purpose] = times
            else:
                del self.drawn[purpose]

    def number(self, *purpose: str) -> int:
        """A number of 64 bits: always the same one for the same purpose."""
        text = self._seed + "\0".join(purpose)
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())

    def uid(self, *purpose: str) -> str:
        """A fresh uid of version 4's shape."""
        digits = f"{self.fresh('uid', *purpose):016x}{self.fresh('uid', *purpose):016x}"
        variant = "89ab"[int(digits[16], 16) % 4]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def name(self, base: str, *purpose: str) -> str:
        """`base` and a fresh suffix of five characters, as the API server completes a `generateName`."""
        number = self.fresh("name", base, *purpose)
        letters = (ALPHABET[number // len(ALPHABET) ** i % len(ALPHABET)] for i in range(SUFFIX_LENGTH))
        return base[:LONGEST_BASE] + "".join(letters)

    def fresh(self, *purpose: str) -> int:
        """A number of 64 bits: another one at each call for the same purpose."""
        times = self.drawn.get(purpose, 0)
        if self.undo is not None:
            self.undo.setdefault(purpose, times)
        self.drawn[purpose] = times + 1
        self.fresh_since_kept.add(purpose)
        return self.number(*purpose, str(times + 1))
