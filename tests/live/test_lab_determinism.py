"""The same seed and manifests give the same lab: names, addresses, rules. Another seed gives others."""

import re
from typing import Any

import pytest
from labs import ONCE, SHOP

from labkit import lab

COUNTERS = re.compile(r"\[\d+:\d+\]")
LINKS = "ip -o link | sed 's/ state [A-Z]*//'"  # the kernel works that out some time later
ADDRESSES = "cat /sys/class/net/eth0/address; ip -o addr | sed 's/ tentative//'"  # and whether it is free, too
NODES = ("node-1", "node-2", "node-3")


@pytest.fixture(scope="module")
def seven(sandbox: str) -> dict[str, Any]:
    """A lab of seed 7 and routed pods, for each test to compare with one of its own."""
    return facts(7, "ptp")


def facts(seed: int, cni: str) -> dict[str, Any]:
    with lab.start(name="seeded", seed=seed, cni=cni) as k:
        k.apply(SHOP)
        k.wait()
        topology = k.topology()
        uids = {kind: [o["metadata"]["uid"] for o in k.objects(kind, None)] for kind in ("Pod", "Service", "Node")}
        found = {
            "topology": topology,
            "uids": uids,
            "slices": [o["metadata"]["name"] for o in k.objects("EndpointSlice", None)],
            "services": k.services(None).to_dict(),
        }
        for node in NODES:
            saved = k.node(node).run("iptables-save", check=True).stdout.splitlines()
            found[f"rules of {node}"] = [COUNTERS.sub("", line) for line in saved if not line.startswith("#")]
            found[f"links of {node}"] = k.node(node).run(LINKS, check=True).stdout
            found[f"routes of {node}"] = k.node(node).run("ip route", check=True).stdout
        found["links of the router"] = k.host("router").run(LINKS, check=True).stdout
        for pod in topology["places"]:
            if pod["kind"] == "pod":
                found[pod["name"]] = k.pod(pod["name"]).run(ADDRESSES).stdout
        return found


def equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    for what, value in first.items():
        assert second[what] == value, what


def test_two_labs_of_a_seed_are_equal(seven: dict[str, Any]) -> None:
    equal(seven, facts(7, "ptp"))


@ONCE
def test_two_labs_with_a_bridge_are_equal() -> None:
    equal(facts(7, "bridge"), facts(7, "bridge"))


@ONCE
def test_another_seed_gives_another_lab(seven: dict[str, Any]) -> None:
    other = facts(8, "ptp")
    assert other["uids"] != seven["uids"]
    assert other["services"] != seven["services"]
    assert [p["name"] for p in other["topology"]["places"]] != [p["name"] for p in seven["topology"]["places"]]
