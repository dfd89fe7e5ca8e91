"""Regular expressions of clients, run by RE2: linear in time whatever the expression, as in Go.

The library is loaded when the first one is met.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MOST_MEMORY = 1 << 20  # bytes for one compiled expression


@lru_cache(2048)
def compiled(pattern: str) -> Any:
    """The expression; the text of what is wrong with it where it is none."""
    import re2

    options = re2.Options()
    options.max_mem = MOST_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0] if error.args else "invalid expression"
        return why.decode(errors="replace") if isinstance(why, bytes) else str(why)


def fault(pattern: str) -> str:
    """What is wrong with an expression; empty where nothing is."""
    found = compiled(pattern)
    return found if isinstance(found, str) else ""


def matches(pattern: str, text: str) -> bool:
    """Whether the expression is found anywhere in the text; an impossible one is found nowhere."""
    found = compiled(pattern)
    return not isinstance(found, str) and found.search(text) is not None
