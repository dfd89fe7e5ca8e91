"""`labkit bench proxy connect` reaches its Services in every mode that it measures, in the kernel that has the mode."""

from __future__ import annotations

import pytest

from labkit.lab.bench import connect

SIZES = (2, 5)


@pytest.mark.parametrize(
    "modes",
    [
        pytest.param(("iptables", "nftables", "userspace"), marks=pytest.mark.sandbox("namespaces")),
        pytest.param(("ipvs", "ebpf"), marks=pytest.mark.sandbox("uml")),
    ],
)
def test_a_connection_of_each_mode_at_each_size(sandbox: str, modes: tuple[str, ...]) -> None:
    """One that nobody answers within five seconds ends the measurement."""
    rows = connect.connecting(modes, SIZES)
    assert [(row["MODE"], row["KERNEL"], row["SERVICES"]) for row in rows] == [
        (mode, sandbox, size) for mode in modes for size in SIZES
    ]
    measured = [[row["US"], row["US PAST"], row["US BARE"]] for row in rows]
    assert all(us > 0 for figures in measured for us in figures)
    assert [row["TIMES"] for row in rows] == [us / bare for us, _, bare in measured]
