from labkit.linux.conntrack import Flow
from labkit.net.packet import Packet
from labkit.traffic.served import follow, latest

CLIENT = Packet("203.0.113.10", "172.18.1.2", "TCP", 40000, 30080)
AT_NODE = Packet("172.18.1.2", "10.244.2.7", "TCP", 1234, 80)
AT_POD = Packet("172.18.1.2", "10.244.2.7", "TCP", 1234, 8080)


def test_translations_are_followed_from_one_to_the_next() -> None:
    assert follow(CLIENT, {CLIENT: AT_NODE, AT_NODE: AT_POD}.get) == AT_POD
    assert follow(CLIENT, {}.get) == CLIENT


def test_a_loop_ends() -> None:
    assert follow(CLIENT, {CLIENT: AT_NODE, AT_NODE: CLIENT}.get) in (CLIENT, AT_NODE)


def test_what_counts_as_translated() -> None:
    assert Flow(CLIENT, AT_POD.reversed()).translated
    assert not Flow(CLIENT, CLIENT.reversed()).translated


def test_a_port_that_is_used_again_counts_where_it_was_used_last() -> None:
    packet = Packet("203.0.113.10", "198.51.100.1", "TCP", 40000, 80)
    first, second = (Packet("203.0.113.10", f"10.244.{i}.2", "TCP", 40000, 8080) for i in (1, 3))
    old, new = Flow(packet, second.reversed(), timeout=61), Flow(packet, first.reversed(), timeout=119)
    untouched = Flow(packet, packet.reversed(), timeout=300)
    for flows in ([old, new, untouched], [untouched, new, old]):
        assert latest(flows) == {packet: first}
