"""What `start` is given, checked before anything is started. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.errors import LabError
from labkit.net.topology import plan

CNI = ("ptp", "bridge")
IPTABLES = ("nft", "legacy")
LINK = ("bw", "delay", "jitter", "loss", "max_queue_size")
_TIME = re.compile(r"\d+(\.\d+)?(us|ms|s)")


def check(nodes: int, zones: Sequence[str], cni: str, iptables: str, link: Mapping[str, Any]) -> None:
    """Raise `LabError`, which names the argument and what it may be, for the first one that makes no sense."""
    try:
        plan(nodes, zones)
    except ValueError as error:
        raise LabError(str(error)) from error
    if cni not in CNI:
        raise LabError(f"cni is {cni!r}: choose one of {', '.join(CNI)}")
    if iptables and iptables not in IPTABLES:
        raise LabError(f"iptables is {iptables!r}: choose one of {', '.join(IPTABLES)}, or leave it out")
    for name, value in link.items():
        if name not in LINK:
            raise LabError(f"link has no {name!r}: it takes {', '.join(LINK)}")
        if why := _wrong(name, value):
            raise LabError(f"link[{name!r}] is {value!r}: {why}")


def _wrong(name: str, value: Any) -> str:
    """What a value of the link should have been; empty where it is right. The limits are Mininet's and tc's."""
    if name in ("delay", "jitter"):
        right = isinstance(value, str) and _TIME.fullmatch(value)
        return "" if right else 'a time such as "5ms" is wanted'
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if name == "bw":
        return "" if 0 < number <= 1000 else "Mbit/s are wanted, above 0 and up to 1000"
    if name == "loss":
        return "" if 0 <= number <= 100 else "per cent are wanted, 0 to 100"
    return "" if isinstance(value, int) and number > 0 else "a number of packets above 0 is wanted"
