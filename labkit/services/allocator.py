"""Which ClusterIP and which node port a Service gets: pure functions of what is taken and of a random number.

    first ....... band .......................... last
    | static band | dynamic: drawn from here first |

Who asks for an address by hand takes it from the static band, if wise: the API server draws from there only when
nothing else is left, so the two seldom collide.
Source: KEP-3070 (kubernetes/pkg/registry/core/service/ipallocator/ipallocator.go), KEP-3668 (portallocator).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

import msgspec

SERVICE_CIDR, SERVICE_CIDR_6 = "10.96.0.0/12", "fd00:10:96::/112"
CIDRS = {"IPv4": SERVICE_CIDR, "IPv6": SERVICE_CIDR_6}
FIRST_NODE_PORT, LAST_NODE_PORT = 30000, 32767


class Ranges(msgspec.Struct, frozen=True):
    """What the API server may give out: Service ranges by IP family, the default family first, and node ports."""

    cidrs: Mapping[str, str] = msgspec.field(default_factory=lambda: {"IPv4": SERVICE_CIDR})
    node_ports: tuple[int, int] = (FIRST_NODE_PORT, LAST_NODE_PORT)


def address_band(size: int) -> int:
    """Addresses in the static band of a range with `size` addresses: min(max(16, size / 16), 256), 0 up to 16."""
    return 0 if size <= 16 else min(max(16, size // 16), 256)


def port_band(size: int) -> int:
    """Ports in the static band of a range with `size` ports: min(max(16, size / 32), 128), 0 up to 16."""
    return 0 if size <= 16 else min(max(16, size // 32), 128)


def draw(size: int, band: int, taken: Callable[[int], bool], number: int) -> int | None:
    """A free place out of `size` (from 0): the first one from a random start above the band, else below; None: full.

    `number` is the random number, of at least 64 bits.
    """
    for low, high in ((band, size), (0, band)):
        width = high - low
        for step in range(width):
            place = low + (number + step) % width
            if not taken(place):
                return place
    return None


class AddressRange:
    """A Service CIDR. Its network address, and in IPv4 its broadcast address, are never given out."""

    def __init__(self, cidr: str = SERVICE_CIDR) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._first = int(self.network.network_address) + 1
        self._size = self.network.num_addresses - (2 if self.network.version == 4 else 1)

    def __contains__(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return found.version == self.network.version and self._first <= int(found) < self._first + self._size

    def draw(self, taken: Callable[[str], bool], number: int) -> str | None:
        """A free address; None when all are taken."""
        band = address_band(self.network.num_addresses)
        place = draw(self._size, band, lambda place: taken(self._address(place)), number)
        return None if place is None else self._address(place)

    def _address(self, place: int) -> str:
        return str(type(self.network.network_address)(self._first + place))


class PortRange:
    """The ports of all nodes that Services may have, `first` and `last` included."""

    def __init__(self, first: int = FIRST_NODE_PORT, last: int = LAST_NODE_PORT) -> None:
        self._first = first
        self._size = last - first + 1

    def __contains__(self, port: int) -> bool:
        return 0 <= port - self._first < self._size

    def __str__(self) -> str:
        return f"{self._first}-{self._first + self._size - 1}"

    def draw(self, taken: Callable[[int], bool], number: int) -> int | None:
        """A free port; None when all are taken."""
        place = draw(self._size, port_band(self._size), lambda place: taken(self._first + place), number)
        return None if place is None else self._first + place
