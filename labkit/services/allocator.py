"""Which ClusterIP and which node port a Service gets: pure functions of what is taken and of a random number.

    first ....... band .......................... last
    | static band | dynamic: drawn from here first |

Who asks for an address by hand takes it from the static band, if wise: the API server draws from there only when
nothing else is left, so the two seldom collide.
Source: KEP-3070 (kubernetes/pkg/registry/core/service/ipallocator/ipallocator.go), KEP-3668 (portallocator).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

SERVICE_CIDR = "10.96.0.0/12"
FIRST_NODE_PORT, LAST_NODE_PORT = 30000, 32767


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
    """A Service CIDR. Its network and broadcast addresses are never given out."""

    def __init__(self, cidr: str = SERVICE_CIDR) -> None:
        self.network = ipaddress.IPv4Network(cidr)
        self._first = int(self.network.network_address) + 1
        self._size = self.network.num_addresses - 2

    def __contains__(self, address: str) -> bool:
        try:
            number = int(ipaddress.IPv4Address(address))
        except ipaddress.AddressValueError:
            return False
        return self._first <= number < self._first + self._size

    def draw(self, taken: Callable[[str], bool], number: int) -> str | None:
        """A free address; None when all are taken."""
        band = address_band(self.network.num_addresses)
        place = draw(self._size, band, lambda place: taken(self._address(place)), number)
        return None if place is None else self._address(place)

    def _address(self, place: int) -> str:
        return str(ipaddress.IPv4Address(self._first + place))


def draw_port(taken: Callable[[int], bool], number: int) -> int | None:
    """A free node port; None when all are taken."""
    size = LAST_NODE_PORT - FIRST_NODE_PORT + 1
    place = draw(size, port_band(size), lambda place: taken(FIRST_NODE_PORT + place), number)
    return None if place is None else FIRST_NODE_PORT + place
