"""`labkit bench proxy`: what kube-proxy's modes cost with many Services, each figure beside the bare tool's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing

from labkit.lab.bench import connect, rounds
from labkit.lab.bench.report import Report, Row, figure
from labkit.sandbox.start import Sandbox

MANY = 5000
MANY_NFTABLES = 10_000
PARTS = ("iptables", "nftables", "connect")
BARE = "the same without kube-proxy"


def bench_proxy(repeats: int, part: str = "") -> Report:
    """All parts, or one of PARTS.

    Raises `NoSandbox` where a kind of sandbox is missing, and what else a sandbox raises that does not start.
    """
    parts = [part] if part else list(PARTS)
    return told(rounds.medians("proxy", repeats, *parts), parts)


def told(measured: Mapping[str, float], parts: Iterable[str]) -> Report:
    """What `measure` has found of these parts."""
    rows = {"iptables": _iptables, "nftables": _nftables, "connect": _connect}
    return Report(tuple(figure(row, measured) for part in parts for row in rows[part]()))


def _connect() -> list[Row]:
    return [
        Row(
            f"connect to the last of {size} Services, {mode} ({kernel})",
            f"{mode} {size}",
            1e6,
            "us",
            BARE,
            f"{kernel} bare {size}",
        )
        for mode, kernel in connect.KERNELS.items()
        for size in connect.SIZES
    ]


def _iptables() -> list[Row]:
    """The rows of the mode iptables, through both of its variants."""
    return [row for variant in ("nft", "legacy") for row in _restoring(variant)]


def _restoring(variant: str) -> list[Row]:
    beside = f"iptables-{variant}-restore fed the same"
    names = {"full": f"all of {MANY} Services", "changed": "one of them changed", "added": "one more"}
    rows = [
        Row(f"iptables-{variant}: {name}", f"{variant} {key}", 1000, "ms", beside, f"{variant} {key} bare", "1.3 x")
        for key, name in names.items()
    ]
    return [*rows, Row("of that, computing", f"{variant} added compute", 1000, "ms", target="< 5 ms")]


def _nftables() -> list[Row]:
    """The rows of the mode nftables."""
    beside = "nft -f fed the same"
    return [
        Row(f"nftables: all of {MANY_NFTABLES} Services", "table load", 1, "s", beside, "table nft load", "15 s"),
        Row("nftables: one more", "table change", 1000, "ms", beside, "table nft change", "20 ms"),
        Row("nftables: one element more, no more than that", "table check", 1000, "ms"),
    ]


def measure(*parts: str) -> dict[str, float]:
    """One round of these parts."""
    found: dict[str, float] = {}
    for variant in ("nft", "legacy") if "iptables" in parts else ():
        with closing(_sandbox()) as sandbox:
            seconds = sandbox.call("restored", variant=variant, n=MANY)
        found |= {f"{variant} {key}": value for key, value in seconds.items()}
    if "nftables" in parts:
        with closing(_sandbox()) as sandbox:
            seconds = sandbox.call("nftables", services=MANY_NFTABLES)
        found |= {f"table {key}": value for key, value in seconds.items()}
    return {**found, **(connect.measure() if "connect" in parts else {})}


def _sandbox() -> Sandbox:
    return Sandbox("labkit.lab.bench.proxied:main")
