"""What the process remembers of the connections that it passed on."""

from labkit.linux.relayed import Relayed

CLIENT = ("10.244.1.9", 40000)


def test_each_connection_is_known_by_its_client_and_the_port_it_came_to() -> None:
    known = Relayed[str]()
    known.note("tcp", 41000, CLIENT, "10.244.1.2:80")
    known.note("udp", 41000, (*CLIENT, 0, 0), "10.244.1.3:80")
    assert known.find("tcp", 41000, CLIENT) == "10.244.1.2:80"
    assert known.find("udp", 41000, CLIENT) == "10.244.1.3:80"
    assert known.find("tcp", 41001, CLIENT) is known.find("tcp", 41000, ("10.244.1.9", 40001)) is None


def test_the_newest_are_kept() -> None:
    known = Relayed[str](most=2)
    for port in (1, 2, 1, 3):
        known.note("tcp", 41000, ("10.244.1.9", port), f"10.244.1.2:{port}")
    assert [known.find("tcp", 41000, ("10.244.1.9", port)) for port in (1, 2, 3)] == [
        "10.244.1.2:1",
        None,
        "10.244.1.2:3",
    ]
