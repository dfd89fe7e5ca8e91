"""Which sockets talk to an endpoint that has gone."""

from ipaddress import ip_address

from labkit.proxy.ebpf.terminate import clients


def key(cookie: int, address: str, port: int) -> bytes:
    """Of the map of sockets."""
    packed = ip_address(address).packed
    return cookie.to_bytes(8, "little") + packed + port.to_bytes(2, "big") + bytes(2 if len(packed) == 4 else 6)


def end(address: str, port: int) -> tuple[bytes, int]:
    return ip_address(address).packed, port


def test_sockets_of_these_endpoints_alone() -> None:
    known = [key(1, "10.244.1.5", 53), key(1, "10.244.2.7", 53), key(2, "10.244.1.5", 54), key(3, "10.244.1.5", 53)]
    gone = frozenset({end("10.244.1.5", 53), end("10.244.9.9", 53)})
    assert clients(known, 4, gone) == {1: frozenset({end("10.244.1.5", 53)}), 3: frozenset({end("10.244.1.5", 53)})}


def test_sockets_of_ipv6() -> None:
    known = [key(1, "fd00:10:244:1::5", 53), key(2, "fd00:10:244:2::7", 53)]
    both = frozenset(end(f"fd00:10:244:{n}", 53) for n in ("1::5", "2::7"))
    assert clients(known, 16, frozenset({end("fd00:10:244:2::7", 53)})) == {2: frozenset({end("fd00:10:244:2::7", 53)})}
    assert clients([*known, key(1, "fd00:10:244:2::7", 53)], 16, both)[1] == both
