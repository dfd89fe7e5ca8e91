import re
from typing import Any

import pytest

from labkit.errors import LabError
from labkit.lab.arguments import PROXY_MODES, check, check_families, port_range

GOOD: dict[str, Any] = {
    "nodes": 3,
    "zones": ("a", "b"),
    "cni": "ptp",
    "proxy_mode": "iptables",
    "iptables": "",
    "link": {},
}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"nodes": 1, "zones": ["z"]},
        {"nodes": 200},
        {"cni": "bridge", "iptables": "legacy"},
        {"link": {"bw": 0.5, "delay": "5ms", "jitter": "100us", "loss": 0, "max_queue_size": 100}},
        {"link": {"bw": 1000, "delay": "1.5s", "loss": 12.5}},
    ],
)
def test_takes_what_makes_sense(changed: dict[str, Any]) -> None:
    check(**{**GOOD, **changed})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"nodes": 0}, "nodes is 0: choose from 1 to 200"),
        ({"nodes": 201}, "nodes is 201: choose from 1 to 200"),
        ({"zones": ()}, "zones is []: choose 1 to 20 different names"),
        ({"zones": ("a", "a")}, "zones is ['a', 'a']: choose 1 to 20 different names"),
        ({"zones": ("Mars!",)}, "zone name 'Mars!': at most 8 lower-case letters, digits and dashes"),
        ({"cni": "calico"}, "cni is 'calico': choose one of ptp, bridge"),
        ({"proxy_mode": "magic"}, f"proxy_mode is 'magic': choose one of {', '.join(PROXY_MODES)}"),
        ({"iptables": "nftables"}, "iptables is 'nftables': choose one of nft, legacy, or leave it out"),
        ({"link": {"dely": "5ms"}}, "link has no 'dely': it takes bw, delay, jitter, loss, max_queue_size"),
        ({"link": {"delay": 5}}, "link['delay'] is 5: a time such as \"5ms\" is wanted"),
        ({"link": {"delay": "-5ms"}}, "link['delay'] is '-5ms': a time such as \"5ms\" is wanted"),
        ({"link": {"bw": 0}}, "link['bw'] is 0: Mbit/s are wanted, above 0 and up to 1000"),
        ({"link": {"bw": "10"}}, "link['bw'] is '10': Mbit/s are wanted, above 0 and up to 1000"),
        ({"link": {"bw": True}}, "link['bw'] is True: Mbit/s are wanted, above 0 and up to 1000"),
        ({"link": {"loss": 101}}, "link['loss'] is 101: per cent are wanted, 0 to 100"),
        ({"link": {"max_queue_size": 1.5}}, "link['max_queue_size'] is 1.5: a number of packets above 0 is wanted"),
    ],
)
def test_says_what_an_argument_may_be(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(LabError, match=f"^{re.escape(told)}$"):
        check(**{**GOOD, **changed})


def test_a_range_of_node_ports() -> None:
    assert port_range("30000-32767") == (30000, 32767)
    assert port_range("30000-30000") == (30000, 30000)


@pytest.mark.parametrize("text", ["", "30000", "30001-30000", "0-10", "60000-65536", "a-b", "30000-30001 ", None])
def test_what_is_no_range_of_ports(text: Any) -> None:
    told = f"service_node_port_range is {text!r}: two ports such as 30000-32767 are wanted"
    with pytest.raises(LabError, match=f"^{re.escape(told)}$"):
        port_range(text)


def test_ports_that_nodes_need_themselves() -> None:
    with pytest.raises(LabError, match="ports 10250 to 10256 are the nodes' own"):
        port_range("10000-20000")


def test_ip_families() -> None:
    check_families(["IPv4"], "ebpf", 64)
    check_families(("IPv4", "IPv6"), "ebpf", 32)
    check_families(("IPv4", "IPv6"), "iptables", 200)
    for wrong in ([], ["IPv6"], ["IPv6", "IPv4"], ["IPv4", "IPv4"], ["ipv4"]):
        with pytest.raises(LabError, match=r"choose \('IPv4',\) or \('IPv4', 'IPv6'\)"):
            check_families(wrong, "iptables", 3)


def test_the_kernel_takes_so_many_nodes_programs() -> None:
    with pytest.raises(LabError, match=r"^nodes is 65: in ebpf mode with IPv4 choose from 1 to 64$"):
        check_families(["IPv4"], "ebpf", 65)
    with pytest.raises(LabError, match=r"^nodes is 33: in ebpf mode with IPv4 and IPv6 choose from 1 to 32$"):
        check_families(["IPv4", "IPv6"], "ebpf", 33)
