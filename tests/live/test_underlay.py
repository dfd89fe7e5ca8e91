"""The data centre: Mininet's model on netlink; nothing starts a shell until somebody asks for one."""

import os
from pathlib import Path

import pytest
from inside import in_sandbox

from labkit.cluster.datacenter import DataCenter
from labkit.errors import LabError
from labkit.linux.probes import missing
from labkit.net.topology import plan


def children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@in_sandbox
def test_every_machine_reaches_every_other_and_no_shell_is_started() -> None:
    datacenter = DataCenter(plan(3, ["a", "b"]), {})
    assert children() == 0
    for name in ("node-1", "internet"):
        for other in datacenter.places.values():
            for address in other.addresses:
                assert "1 received" in datacenter.net[name].cmd(f"ping -c1 -W2 {address}"), (name, other.name)
    assert children() == 2, "two shells: cmd() was called on two nodes"


@in_sandbox
def test_mininet_s_own_words_work() -> None:
    datacenter = DataCenter(plan(1, ["a"]), {})
    net, node = datacenter.net, datacenter.net["node-1"]
    assert node.cmd("echo hello").strip() == "hello"
    assert node.cmd("cat /sys/class/net/nonesuch/mtu; echo $?").strip().endswith("1")
    out, err, code = node.pexec("ip -o link show eth0")
    assert "eth0" in out and not err and code == 0
    assert node.IP() == "172.18.1.11" and node.defaultIntf().name == "eth0"
    assert net.ping([node, net["internet"]], timeout="2") == 0.0
    net.delLinkBetween(node, net["s-a"])
    assert "eth0" not in node.cmd("ip -o link")
    net.stop()
    assert not list(Path("/run/netns").iterdir())


@in_sandbox
def test_a_link_is_what_was_asked_for_or_an_error() -> None:
    if missing(["netem"]):
        with pytest.raises(LabError, match=r"tc qdisc add dev zone-a .* netem .* on router failed: .*kind is unknown"):
            DataCenter(plan(2, ["a", "b"]), {"delay": "3ms"})
        return
    datacenter = DataCenter(plan(2, ["a", "b"]), {"bw": 50, "delay": "3ms"})
    shaped = datacenter.net["router"].cmd("tc qdisc show dev zone-a")
    assert "htb" in shaped
    assert "delay 3ms" in shaped


@in_sandbox
def test_bandwidth_is_limited() -> None:
    datacenter = DataCenter(plan(2, ["a", "b"]), {"bw": 50})
    assert "htb" in datacenter.net["router"].cmd("tc qdisc show dev zone-a")
