"""Which ports a node refuses is found out, and all others are served."""

from __future__ import annotations

import asyncio
from collections.abc import Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import RuleError
from labkit.proxy.faults import find, named, reasons, without
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port, PortKey


def view(count: int) -> View:
    ports = {}
    for number in range(count):
        front = Frontend(name=f"shop/web-{number}:http", protocol="tcp", cluster_ip=f"10.96.0.{number}", port=80)
        ports[front.key] = Port(front, (Backend(address="10.244.1.5:80", ip="10.244.1.5"),))
    return View(ports, sorted(ports), count, "node-1", "a", ("172.18.1.11",))


class Fussy:
    """A node that refuses a view with one of these ports, or every view; `names` them in what it says."""

    def __init__(self, bad: Set[PortKey], names: bool = False, dead: bool = False) -> None:
        self.bad, self.names, self.dead = bad, names, dead
        self.tries = 0
        self.has: set[PortKey] = set()

    async def sync(self, seen: View, changed: Set[PortKey] | None) -> str:
        self.tries += 1
        if wrong := sorted(self.bad & set(seen.ports)):
            line = f'-A KUBE-SERVICES -m comment --comment "{wrong[0][0]} cluster IP"' if self.names else ""
            raise RuleError(f"refused the rules at line 7: {line!r}", text=line)
        if self.dead:
            raise RuleError("no tables")
        self.has = set(seen.ports)
        assert seen.total == len(seen.ports) == len(seen.keys)
        return "text"


@given(st.data(), st.integers(1, 40), st.booleans())
def test_all_but_the_bad_are_in_force(data: st.DataObject, count: int, names: bool) -> None:
    seen = view(count)
    bad = data.draw(st.sets(st.sampled_from(seen.keys), min_size=1))
    changed = data.draw(st.none() | st.sets(st.sampled_from(seen.keys)).map(lambda more: more | bad))

    async def scene() -> None:
        node = Fussy(bad, names)
        with pytest.raises(RuleError) as first:
            await node.sync(seen, changed)
        refused = await find(node.sync, seen, changed, first.value)
        assert refused.keys() == bad
        assert node.has == set(seen.keys) - bad

    asyncio.run(scene())


def test_one_of_many_that_is_named_takes_few_tries() -> None:
    seen = view(500)

    async def scene() -> None:
        node = Fussy({("shop/web-7:http", "tcp")}, names=True)
        with pytest.raises(RuleError) as first:
            await node.sync(seen, None)
        assert named(first.value, seen.keys) == [("shop/web-7:http", "tcp")]
        await find(node.sync, seen, None, first.value)
        assert node.tries == 3

    asyncio.run(scene())


def test_what_is_no_ports_fault_is_an_error() -> None:
    async def scene() -> None:
        with pytest.raises(RuleError, match="no tables"):
            await find(Fussy(set(), dead=True).sync, view(5), None, RuleError("no tables"))

    asyncio.run(scene())


def test_nothing_left_out_is_the_same_view() -> None:
    seen = view(3)
    assert without(seen, []) is seen
    assert reasons({("shop/web:http", "udp"): RuleError("why")}) == {"shop/web:http/udp": "why"}
