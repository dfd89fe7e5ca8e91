"""What the programs remember, read from their maps."""

from ipaddress import ip_address

from labkit.proxy.ebpf import layout
from labkit.proxy.ebpf.layout import Connection


def packed(address: str, port: int) -> tuple[bytes, bytes]:
    return ip_address(address).packed, port.to_bytes(2, "big")


def test_connections_from_outside() -> None:
    (client, sport), (service, dport) = packed("203.0.113.10", 40000), packed("172.18.1.11", 30080)
    far, near = layout.backend_key(7), layout.backend_key(8)
    backends = {
        far: layout.backend(("10.244.2.7", 8080, "tcp"), layout.ACTIVE),
        near: layout.backend(("10.244.1.5", 8080, "tcp"), layout.ACTIVE),
    }
    node = {layout.FIRST: ip_address("172.18.1.11").packed}

    def entry(backend: bytes, nat: int) -> bytes:
        return backend + b"\1\0" + nat.to_bytes(2, "big") + client + sport + bytes(6)

    there = client + service + sport + dport + b"\6\0\0\0"
    reply = service + client + dport + sport + b"\6\1\0\0"
    base = Connection("tcp", "203.0.113.10:40000", "172.18.1.11:30080", "10.244.2.7:8080", "172.18.1.11:61000")
    assert list(layout.connections({there: entry(far, 61000), reply: entry(far, 61000)}, backends, node)) == [base]
    (direct,) = layout.connections({there: entry(near, 0)}, backends, node)
    assert (direct.endpoint, direct.source) == ("10.244.1.5:8080", "203.0.113.10:40000")
    assert list(layout.connections({there: entry(layout.backend_key(9), 0)}, backends, node)) == []


def test_connections_from_outside_by_ipv6() -> None:
    (client, sport), (service, dport) = packed("2001:db8:203::10", 40000), packed("fd00:172:18:1::11", 30080)
    backends = {layout.backend_key(7): layout.backend(("fd00:10:244:2::7", 8080, "udp"), layout.ACTIVE)}
    node = {layout.FIRST: ip_address("fd00:172:18:1::11").packed}
    entry = layout.backend_key(7) + b"\1\0" + (61000).to_bytes(2, "big") + client + sport + bytes(6)
    there = client + service + sport + dport + b"\x11\0\0\0"
    (found,) = layout.connections({there: entry}, backends, node)
    assert (found.client, found.service) == ("[2001:db8:203::10]:40000", "[fd00:172:18:1::11]:30080")
    assert (found.endpoint, found.source) == ("[fd00:10:244:2::7]:8080", "[fd00:172:18:1::11]:61000")


def test_sockets_of_ipv6() -> None:
    (endpoint, port), (service, asked) = packed("fd00:10:244:2::7", 8080), packed("fd00:10:96::1", 80)
    key = (77).to_bytes(8, "little") + endpoint + port + bytes(6)
    found = layout.sockets({key: service + asked + b"\1\0" + bytes(4)}, 16)
    assert found == {(77, "[fd00:10:96::1]:80"): "[fd00:10:244:2::7]:8080"}


def test_sockets() -> None:
    (endpoint, port), (service, asked) = packed("10.244.2.7", 8080), packed("10.96.0.1", 80)
    key = (77).to_bytes(8, "little") + endpoint + port + bytes(2)
    assert layout.sockets({key: service + asked + b"\1\0"}, 4) == {(77, "10.96.0.1:80"): "10.244.2.7:8080"}
