"""A rule set in the making, and the pieces of which kube-proxy's rules are put together.

Pieces come in the order in which `iptables-save` prints them: source, destination, protocol, matches, target.
"""

from __future__ import annotations

from functools import lru_cache

from labkit.net.rules import Family

_KERNEL_SCALE = 1 << 31  # xt_statistic keeps a probability as a 31-bit fraction


class Draft:
    """Collects rules in `chains`, by table and name, in the order in which they are first named."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.chains: dict[tuple[str, str], list[str]] = {}

    def declare(self, table: str, *chains: str) -> None:
        """Make sure that the chains exist, even without rules."""
        for chain in chains:
            self.chains.setdefault((table, chain), [])

    def filter(self, chain: str, *pieces: str) -> None:
        self.chains.setdefault(("filter", chain), []).append(" ".join(filter(None, pieces)))

    def nat(self, chain: str, *pieces: str) -> None:
        self.chains.setdefault(("nat", chain), []).append(" ".join(filter(None, pieces)))

    def tables(self) -> dict[str, dict[str, list[str]]]:
        """The rules by table and chain."""
        found: dict[str, dict[str, list[str]]] = {}
        for (table, chain), texts in self.chains.items():
            found.setdefault(table, {})[chain] = texts
        return found


def source(prefix: str) -> str:
    """`-s 10.0.0.1/32`, `-s 10.0.0.0/8`; nothing for a prefix that holds every address."""
    return _address("-s", prefix)


def destination(prefix: str) -> str:
    return _address("-d", prefix)


def _address(flag: str, prefix: str) -> str:
    if prefix.endswith("/0"):
        return ""
    if "/" not in prefix:
        prefix += "/128" if ":" in prefix else "/32"
    return f"{flag} {prefix}"


def comment(text: str) -> str:
    return f'-m comment --comment "{text}"'


def to_port(protocol: str, port: int) -> str:
    return f"-m {protocol} --dport {port}"


def jump(target: str) -> str:
    return f"-j {target}"


def ctstate(states: str) -> str:
    return f"-m conntrack --ctstate {states}"


def one_of(n: int) -> str:
    """Matches one packet in n; nothing for the last rule, which takes what is left."""
    return f"-m statistic --mode random --probability {saved_probability(n)}" if n > 1 else ""


def reject(family: Family) -> str:
    return f"-j REJECT --reject-with {'icmp6' if family == 'IPv6' else 'icmp'}-port-unreachable"


def remember(chain: str, family: Family) -> str:
    """Note the client in the list of the endpoint chain (session affinity)."""
    return f"-m recent --set --name {chain} {_by_source(family)}"


def remembered(chain: str, seconds: int, family: Family) -> str:
    """The client was sent to the endpoint chain in the last `seconds`."""
    return f"-m recent --rcheck --seconds {seconds} --reap --name {chain} {_by_source(family)}"


def _by_source(family: Family) -> str:
    mask = ":".join(["ffff"] * 8) if family == "IPv6" else "255.255.255.255"
    return f"--mask {mask} --rsource"


def probability(n: int) -> str:
    """1/n as kube-proxy hands it to iptables: ten decimals."""
    return f"{1 / n:.10f}"


@lru_cache(maxsize=4096)
def saved_probability(n: int) -> str:
    """1/n as `iptables-save` prints it afterwards: rounded to 31 bits by the kernel, eleven decimals."""
    return f"{round(float(probability(n)) * _KERNEL_SCALE) / _KERNEL_SCALE:.11f}"
