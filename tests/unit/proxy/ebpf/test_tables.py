"""Entries of the maps: the same for the same objects, whatever came before, and a change is a change of few."""

import random
from collections import Counter
from ipaddress import ip_address

import pytest
from msgspec.structs import replace

from labkit.errors import RuleError
from labkit.net.rules import Family
from labkit.proxy.config import EbpfConfig, ProxyConfig
from labkit.proxy.ebpf import layout
from labkit.proxy.ebpf.decode import decode
from labkit.proxy.ebpf.maps import MAPS, Maps
from labkit.proxy.ebpf.numbers import Numbers
from labkit.proxy.ebpf.plan import plan
from labkit.proxy.ebpf.tables import Changes, Entry, Tables, changes
from labkit.proxy.mode import view_of
from labkit.proxy.tracker import Tracker

from .objects import EVERY_KIND, HERE, NODE, THEIR_ENDS, THERE, T, endpoints, on_node, service, twin

MAGLEV = ProxyConfig(ebpf=EbpfConfig("maglev"))
NAMES = MAPS["IPv4"]


def same(one: T) -> T:
    return one


def applied(entries: dict[Entry, bytes], found: Changes) -> dict[Entry, bytes]:
    after = entries | dict(found.writes)
    for entry in found.deletes:
        del after[entry]
    return after


def without_numbers(entries: dict[Entry, bytes], names: Maps) -> Counter[tuple[str, str]]:
    """The maps' content with things in the place of their numbers."""
    backends = {key: value.hex() for (name, key), value in entries.items() if name == names.backends}
    fronts = {int.from_bytes(k, "big"): v.hex() for (name, k), v in entries.items() if name == names.reverse_nat}
    found: Counter[tuple[str, str]] = Counter()
    for (name, key), value in entries.items():
        if name == names.services:
            front = fronts[int.from_bytes(value[6:8], "little")]
            what = backends[value[:4]] if layout.slot_of(key) else value[:6].hex()
            found[name, f"{key.hex()} {front} {what} {value[8:].hex()}"] += 1
        elif name == names.maglev:
            table = [backends[value[at : at + 4]] for at in range(0, len(value), 4)]
            found[name, f"{fronts[int.from_bytes(key, 'big')]} {' '.join(table)}"] += 1
        elif name == names.affinity_match:
            found[name, f"{backends[key[:4]]} {fronts[int.from_bytes(key[4:6], 'little')]}"] += 1
        elif name == names.source_range:
            found[name, f"{key[:4].hex()} {fronts[int.from_bytes(key[4:6], 'little')]} {key[8:].hex()}"] += 1
        else:
            found[name, value.hex() if name != names.here else key.hex()] += 1
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_entries_depend_on_the_objects_alone(seed: int) -> None:
    rng = random.Random(seed)
    family: Family = "IPv6" if seed % 2 else "IPv4"
    config, names, turned = replace(MAGLEV, family=family), MAPS[family], twin if seed % 2 else same
    node = turned(NODE)
    tracker, tables, entries = Tracker(family), Tables(config), dict[Entry, bytes]()
    for _ in range(120):
        one = rng.choice(EVERY_KIND)
        gone = rng.random() < 0.3
        keys = tracker.service(turned(one), gone=gone)
        if rng.random() < 0.7:
            ends = rng.sample([HERE, THERE, ("10.244.1.6", "node-1"), ("10.244.3.3", "node-3")], rng.randrange(4))
            terminating = {"ready": False, "serving": True, "terminating": True} if rng.random() < 0.3 else {}
            keys |= tracker.slice(turned(endpoints(one.name, *ends, **terminating)), gone=rng.random() < 0.2)
        found = tables.update(view_of(tracker, node), keys)
        entries = applied(entries, found)
        assert entries == tables.entries
    anew = Tables(config)
    anew.update(view_of(tracker, node), None)
    assert without_numbers(entries, names) == without_numbers(anew.entries, names)
    wanted = plan(view_of(tracker, node), config)
    assert (tables.plan().frontends, tables.plan().here) == (wanted.frontends, wanted.here)
    assert decode(tables.entries, names, config.cluster_cidr) == tables.plan()


def test_nothing_is_left_of_what_has_gone() -> None:
    tables = Tables(MAGLEV)
    tables.update(on_node(EVERY_KIND, THEIR_ENDS), None)
    assert {name for name, _ in tables.entries} == set(NAMES.order)
    tables.update(on_node([], []), None)
    assert tables.entries == {}
    assert tables.plan().frontends == {}


def test_leaves_are_written_first_and_deleted_last() -> None:
    tables = Tables(MAGLEV)
    found = tables.update(on_node(EVERY_KIND, THEIR_ENDS), None)
    turns = [(NAMES.order.index(name), layout.slot_of(key) == 0 if name == NAMES.services else False)
             for (name, key), _ in found.writes]  # fmt: skip
    assert turns == sorted(turns)
    gone = tables.update(on_node([], []), None)
    assert [NAMES.order.index(name) for name, _ in gone.deletes] == sorted(turns[n][0] for n in range(len(turns)))[::-1]


def test_a_change_of_one_service_touches_no_other() -> None:
    tables = Tables(MAGLEV)
    tables.update(on_node(EVERY_KIND, THEIR_ENDS), None)
    view = on_node(EVERY_KIND, [endpoints("plain", HERE), *THEIR_ENDS[1:]])
    found = tables.update(view, {("shop/plain:http", "tcp")})
    first = layout.service_key(("10.96.0.1", 80, "tcp"), 0, 0)
    assert [entry for entry, _ in found.writes] == [(NAMES.services, first)]
    assert tuple(found.deletes) == ((NAMES.services, layout.service_key(("10.96.0.1", 80, "tcp"), 0, 2)),)
    assert "bpftool map delete name cilium_lb4_services_v2 key hex 0a 60 00 01 00 50 02 00 06 00 00 00\n" in str(found)
    assert str(tables.update(view, {("shop/plain:http", "tcp")})) == ""


def test_what_is_missing_or_foreign_in_the_kernel_is_repaired() -> None:
    tables = Tables(MAGLEV)
    tables.update(on_node(EVERY_KIND, THEIR_ENDS), None)
    found = dict(tables.entries)
    lost = next(entry for entry in found if entry[0] == NAMES.backends)
    value = found.pop(lost)
    foreign = (NAMES.services, layout.service_key(("10.96.9.9", 80, "tcp"), 0, 0))
    found[foreign] = bytes(12)
    assert changes(found, tables.entries, NAMES) == Changes(((lost, value),), {foreign: bytes(12)})


def test_an_address_that_two_services_claim_is_the_first_ones() -> None:
    claimed = ["192.0.2.9"]
    first, second = service("a", 11, externalIPs=claimed), service("b", 12, externalIPs=claimed)
    slices = [endpoints("a", HERE), endpoints("b", THERE)]
    tables = Tables(MAGLEV)
    tables.update(on_node([second], slices), None)
    tables.update(on_node([first, second], slices), {("shop/a:http", "tcp")})
    at = ("192.0.2.9", 80, "tcp")
    assert tables.plan().frontends[at].backends == (("10.244.1.5", 8080, "tcp"),)
    assert tables.plan().frontends[at] == plan(on_node([first, second], slices), MAGLEV).frontends[at]
    tables.update(on_node([second], slices), {("shop/a:http", "tcp")})
    assert tables.plan().frontends[at].backends == (("10.244.2.7", 8080, "tcp"),)


def test_an_endpoint_that_terminates_stays_for_connections_that_it_has() -> None:
    tables = Tables(MAGLEV)
    going = endpoints("plain", THERE, ready=False, serving=True, terminating=True)
    going = replace(going, metadata=replace(going.metadata, name="plain-2"))
    view = on_node([EVERY_KIND[0]], [endpoints("plain", HERE), going])
    tables.update(view, None)
    states = {value[:4]: value[7] for (name, _), value in tables.entries.items() if name == NAMES.backends}
    assert states == {ip_address(HERE[0]).packed: layout.ACTIVE, ip_address(THERE[0]).packed: layout.TERMINATING}
    (front,) = tables.plan().frontends.values()
    assert front.backends == ((HERE[0], 8080, "tcp"),)


def test_numbers_are_used_once_and_rest_before_they_come_again() -> None:
    numbers: Numbers[str] = Numbers(3)
    assert [numbers.of(name) for name in "abab"] == [1, 2, 1, 2]
    numbers.free("a")
    assert [numbers.of(name) for name in "cd"] == [3, 1]
    numbers.free("nobody")
    with pytest.raises(RuleError, match="all 3 numbers are in use"):
        numbers.of("e")
