"""The model of IPVS's schedulers. That the kernel picks the same is tested live (tests/live/test_ipvs_kernel.py)."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.ipvs import SCHEDULERS, RealServer, VirtualServer
from labkit.net.packet import Packet
from labkit.trace.model.ipvs import chances
from labkit.trace.model.schedulers import Spread

WEIGHTS = st.lists(st.integers(0, 12), min_size=1, max_size=6)


def spread(scheduler: str, *weights: int, persistent: int = 0, port: bool = False) -> Spread:
    servers = tuple(RealServer(f"10.244.1.{n}", 8080, weight) for n, weight in enumerate(weights, 1))
    return Spread(VirtualServer("10.96.0.1", 80, "tcp", scheduler, persistent, port, servers))


def packet(client: int = 1, port: int = 40000) -> Packet:
    return Packet(f"10.9.{client // 250}.{client % 250}", "10.96.0.1", "TCP", port, 80)


def picked(one: Spread, count: int) -> list[int]:
    """The last bytes of the servers' addresses; 0 for refused."""
    servers = (one.connect(packet()) for _ in range(count))
    return [int(s.ip.rpartition(".")[2]) if s else 0 for s in servers]


def test_round_robin_goes_round_and_leaves_out_those_without_weight() -> None:
    assert picked(spread("rr", 1, 5, 0, 1), 7) == [1, 2, 4, 1, 2, 4, 1]


def test_weighted_round_robin_interleaves() -> None:
    counts = picked(spread("wrr", 4, 1, 2), 14)
    assert Counter(counts) == {1: 8, 2: 2, 3: 4}
    assert all(a != b or a == 1 for a, b in pairwise(counts)), "only the heaviest comes twice in a row"


@given(WEIGHTS)
def test_weighted_round_robin_is_exact_over_a_round(weights: list[int]) -> None:
    one = spread("wrr", *weights)
    picked(one, sum(weights))  # wherever the first round began
    assert Counter(picked(one, sum(weights))) == {n: w for n, w in enumerate(weights, 1) if w}


def test_least_connections_count_active_ones_256_times() -> None:
    one = spread("lc", 1, 1)
    first, second = one.loads[0].server, one.loads[1].server
    assert [one.connect(packet()) for _ in range(3)] == [first, second, first]
    one.established(second)
    assert [one.connect(packet()) for _ in range(253)] == [first] * 253
    one.closed(second)
    assert one.connect(packet()) == second
    one.forgotten(second)
    assert (one.loads[1].active, one.loads[1].inactive) == (0, 1)


def busy(scheduler: str, *weights: int, count: int) -> Counter[str]:
    """Who has the connections where none of them ends."""
    one = spread(scheduler, *weights)
    found: Counter[str] = Counter()
    for _ in range(count):
        server = one.connect(packet())
        assert server
        one.established(server)
        found[server.ip[-1]] += 1
    return found


@pytest.mark.parametrize("scheduler", ["wlc", "sed"])
def test_weighted_ones_share_by_weight(scheduler: str) -> None:
    assert busy(scheduler, 3, 1, 2, count=60) == {"1": 30, "2": 10, "3": 20}


def test_shortest_delay_leaves_a_slow_one_idle_and_never_queue_does_not() -> None:
    assert busy("sed", 9, 1, count=3) == {"1": 3}
    assert busy("nq", 9, 1, count=3) == {"1": 2, "2": 1}


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_hashing_keeps_a_client_at_its_server(scheduler: str) -> None:
    one, other = spread(scheduler, 1, 1, 1), spread(scheduler, 1, 1, 1)
    for client in range(200):
        assert one.connect(packet(client, 1)) == other.connect(packet(client, 2))
    shares = Counter(one.connect(packet(client)) for client in range(3000))
    assert all(800 < count < 1200 for count in shares.values())


def test_maglev_moves_few_clients_when_a_server_goes_and_source_hashing_many() -> None:
    moved = {}
    for scheduler in ("sh", "mh"):
        full, less = spread(scheduler, 1, 1, 1, 1), spread(scheduler, 1, 1, 1)
        pairs = [(full.connect(packet(c)), less.connect(packet(c))) for c in range(1000)]
        stayed = [(a, b) for a, b in pairs if a and a.ip != "10.244.1.4"]
        moved[scheduler] = sum(a != b for a, b in stayed) / len(stayed)
    assert moved["mh"] < 0.15 < 0.5 < moved["sh"]


def test_maglev_with_ports_spreads_one_client() -> None:
    one = spread("mh", 1, 1, 1, port=True)
    assert len({one.connect(packet(1, port)) for port in range(40000, 40100)}) == 3


def test_destination_hashing_knows_one_server_for_one_address() -> None:
    assert len(set(picked(spread("dh", 1, 1, 1), 50))) == 1


def test_hashing_refuses_where_the_server_of_the_hash_has_no_weight() -> None:
    one = spread("sh", 0, 1)
    assert {one.connect(packet(client)) for client in range(50)} == {None, one.loads[1].server}


def test_persistence_keeps_a_client_until_its_server_leaves() -> None:
    one = spread("rr", 1, 1, persistent=60)
    assert picked(one, 4) == [1, 1, 1, 1]
    assert one.connect(packet(2)) == one.loads[1].server


@given(st.sampled_from(SCHEDULERS), WEIGHTS)
def test_a_server_without_weight_gets_nothing_and_none_with_weight_starves(scheduler: str, weights: list[int]) -> None:
    one = spread(scheduler, *weights)
    servers = [one.connect(packet(client)) for client in range(200)]
    assert all(s is None or s.weight for s in servers)
    expected = chances(one.virtual, packet())
    assert not expected or sum(expected.values()) == pytest.approx(1)
    if scheduler in ("rr", "wrr", "lc", "wlc"):
        assert {s for s in servers if s} == set(expected) == {s for s in one.virtual.servers if s.weight}
