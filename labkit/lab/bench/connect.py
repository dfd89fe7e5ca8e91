"""How long it takes to connect to the last of ever more Services, in the modes of kube-proxy.

A kernel's own speed is in every figure: beside each stands a connection in the same kernel without kube-proxy.
Not here: kernelspace. Rules of Linux stand in for Windows' there, and would be measured in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from labkit.errors import LabError
from labkit.sandbox.start import Sandbox

SIZES = (10, 1000, 5000, 10_000)
KERNELS = {"iptables": "namespaces", "nftables": "namespaces", "userspace": "namespaces", "ipvs": "uml", "ebpf": "uml"}
"""Mode -> the sandbox in which it is measured: this machine's kernel need not have all modes."""


def connecting(modes: Sequence[str] = tuple(KERNELS), sizes: Sequence[int] = SIZES) -> list[dict[str, object]]:
    """A row for each mode and size: MODE, KERNEL (the kind of sandbox), SERVICES, and medians in microseconds.

    US       to connect to the last of the Services, each of which has one endpoint
    US PAST  to connect to that endpoint itself, past the Services, on the same node
    US BARE  the same on a node without kube-proxy, in turns with the others
    TIMES    US by US BARE

    No API and no lab are there: nodes with the rules that kube-proxy gives them, their clients and servers. In the mode
    userspace the node itself answers, so that less than once is possible.
    Raises `LabError` for sizes that do not grow and for a mode that is not measured, `NoSandbox` where a kind of
    sandbox is missing.
    """
    measured = measure(modes, sizes)
    rows: list[dict[str, object]] = []
    for mode in modes:
        for size in sizes:
            kernel = KERNELS[mode]
            us, past, bare = (measured[f"{key} {size}"] * 1e6 for key in (mode, f"{mode} past", f"{kernel} bare"))
            times = {"US": us, "US PAST": past, "US BARE": bare, "TIMES": us / bare}
            rows.append({"MODE": mode, "KERNEL": kernel, "SERVICES": size, **times})
    return rows


def measure(modes: Sequence[str] = tuple(KERNELS), sizes: Sequence[int] = SIZES) -> dict[str, float]:
    """Seconds: "MODE SIZE", "MODE past SIZE", "KERNEL bare SIZE"."""
    if unknown := [mode for mode in modes if mode not in KERNELS]:
        raise LabError(f"{unknown[0]!r} is not measured; these are: {', '.join(KERNELS)}")
    if not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
        raise LabError(f"{list(sizes)} are no sizes that grow from 1 or more")
    found: dict[str, float] = {}
    for kernel in dict.fromkeys(KERNELS[mode] for mode in modes):
        here = [mode for mode in modes if KERNELS[mode] == kernel]
        with closing(Sandbox("labkit.lab.bench.connected:main", kernel)) as sandbox:
            told = sandbox.call("connect", modes=here, sizes=list(sizes))
        found |= {f"{kernel} {key}" if key.startswith("bare") else key: seconds for key, seconds in told.items()}
    return found
