"""`labkit bench proxy`: what kube-proxy's modes cost with many Services, each figure beside the bare tool's."""

from __future__ import annotations

from contextlib import closing

from labkit.lab.bench import rounds
from labkit.lab.bench.report import Report, Row, figure
from labkit.sandbox.start import Sandbox

MANY = 5000
MANY_NFTABLES = 10_000
SIZES = (10, 1000, 5000)
LATENCIES = (
    ("iptables", "nft", "namespaces"),
    ("nftables", "nft", "namespaces"),
    ("ipvs", "legacy", "uml"),
    ("ebpf", "legacy", "uml"),
)
"""Mode, iptables variant, and the sandbox in which it is measured: this machine's kernel need not have all modes."""
DIRECT = "to the server's own address"


def bench_proxy(repeats: int) -> Report:
    """Raises `NoSandbox` where a kind of sandbox is missing, and what else a sandbox raises that does not start."""
    measured = rounds.medians("proxy", repeats)
    rows = [row for variant in ("nft", "legacy") for row in _restoring(variant)]
    rows += [
        Row(
            f"connect to the last of {size} Services, {mode} ({kind})",
            f"{mode} {size}",
            1e6,
            "us",
            DIRECT,
            f"{mode} direct",
        )
        for mode, _, kind in LATENCIES
        for size in SIZES
    ]
    return Report(tuple(figure(row, measured) for row in (*rows, *_nftables())))


def _restoring(variant: str) -> list[Row]:
    """The rows of the mode iptables, through one of its variants."""
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


def measure() -> dict[str, float]:
    """One round."""
    found: dict[str, float] = {}
    for variant in ("nft", "legacy"):
        with closing(_sandbox("namespaces")) as sandbox:
            told = sandbox.call("restored", variant=variant, n=MANY)
        found |= {f"{variant} {key}": value for key, value in told.items()}
    with closing(_sandbox("namespaces")) as sandbox:
        found |= {f"table {key}": value for key, value in sandbox.call("nftables", services=MANY_NFTABLES).items()}
    for mode, variant, kind in LATENCIES:
        with closing(_sandbox(kind)) as sandbox:
            told = sandbox.call("latency", mode=mode, variant=variant, sizes=list(SIZES))
        found |= {f"{mode} {key}": value for key, value in told.items()}
    return found


def _sandbox(kind: str) -> Sandbox:
    return Sandbox("labkit.lab.bench.proxied:main", kind)
