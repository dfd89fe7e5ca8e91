"""What CoreDNS writes to its standard output."""

from __future__ import annotations

import re

import pytest

from labkit.dns import corefile, output
from labkit.net import dnsrecords as dns
from labkit.net import dnswire as wire

QUESTION = wire.question(4242, "web.shop.svc.cluster.local", dns.TYPES["A"])


def test_it_says_what_it_serves_and_by_which_configuration():
    text = corefile.default()
    lines = output.started(corefile.parse(text), text).splitlines()
    assert lines[0] == ".:53"
    assert re.fullmatch(r"\[INFO\] plugin/reload: Running configuration SHA512 = [0-9a-f]{128}", lines[1])
    assert lines[2] == "CoreDNS-1.12.1"
    bare = "example.org:53 {\n errors\n}"
    assert output.started(corefile.parse(bare), bare).splitlines()[:2] == ["example.org.:53", "CoreDNS-1.12.1"]


@pytest.mark.parametrize(
    ("client", "tcp", "code", "expected"),
    [
        (
            ("10.244.1.5", 40000),
            False,
            dns.NOERROR,
            '10.244.1.5:40000 - 4242 "A IN web.shop.svc.cluster.local. udp 44 ',
        ),
        (("fd00::5", 40000), True, dns.NXDOMAIN, '[fd00::5]:40000 - 4242 "A IN web.shop.svc.cluster.local. tcp 44 '),
    ],
)
def test_a_query_as_the_plugin_log_writes_it(client, tcp, code, expected):
    query = wire.decode(QUESTION)
    answer = wire.encode(query, dns.failure(code), 512)
    line = output.query(query, client, len(QUESTION), answer, code, tcp, 0.000125)
    assert line.startswith(f"[INFO] {expected}")
    size = 65535 if tcp else 512
    assert line.endswith(f'false {size}" {dns.RCODES[code]} qr,rd {len(answer)} 0.000125000s\n')
