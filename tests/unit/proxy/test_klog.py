"""A line of the log, as klog writes it."""

from datetime import datetime

from labkit.proxy.klog import line


def test_a_line() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678)
    facts = {"err": ValueError('a "b"'), "count": 3, "ok": True, "ips": ["10.0.0.1"], "mode": "iptables"}
    assert line("I", now, "server.go:677", "Version info", facts, 1) == (
        'I0102 03:04:05.000678       1 server.go:677] "Version info" err="a \\"b\\"" count=3 ok=true '
        'ips=["10.0.0.1"] mode="iptables"\n'
    )
