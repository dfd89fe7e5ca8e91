"""Bands and draws, against the figures of KEP-3070 and KEP-3668."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.services.allocator import AddressRange, PortRange, address_band, draw, port_band


@pytest.mark.parametrize(
    ("prefix", "band"),
    [(28, 0), (27, 16), (24, 16), (23, 32), (22, 64), (20, 256), (16, 256), (12, 256)],
)
def test_address_band(prefix, band):
    assert address_band(2 ** (32 - prefix)) == band


@pytest.mark.parametrize(("size", "band"), [(2768, 86), (16, 0), (17, 16), (512, 16), (1024, 32), (100_000, 128)])
def test_port_band(size, band):
    assert port_band(size) == band


def test_dynamic_addresses_come_from_the_upper_band():
    addresses = AddressRange()
    drawn = {addresses.draw(lambda address: False, number * 2654435761) for number in range(3000)}
    lowest = min(ipaddress.ip_address(address) for address in drawn)
    assert lowest >= ipaddress.ip_address("10.96.1.1")
    assert addresses.draw(lambda address: False, 0) == "10.96.1.1"
    assert addresses.draw(lambda address: False, 2**20 - 2 - 256 - 1) == "10.111.255.254"


def test_lower_band_when_the_upper_is_full():
    addresses = AddressRange("10.0.0.0/24")
    taken = {f"10.0.0.{last}" for last in range(17, 255)}
    assert addresses.draw(taken.__contains__, 3) == "10.0.0.4"


def test_membership():
    addresses = AddressRange()
    assert "10.96.0.1" in addresses and "10.111.255.254" in addresses
    for outside in ("10.96.0.0", "10.111.255.255", "10.95.255.255", "fd00::1", "None", "", "10.96.0.1/32"):
        assert outside not in addresses


def test_ports():
    assert PortRange().draw(lambda port: False, 0) == 30086
    assert PortRange().draw(lambda port: False, 2768 - 86 - 1) == 32767
    assert PortRange().draw(lambda port: port >= 30086, 5) == 30005
    assert PortRange().draw(lambda port: True, 5) is None


@given(st.integers(1, 60), st.data(), st.integers(0, 2**64 - 1))
def test_draw_finds_what_is_free(size, data, number):
    band = data.draw(st.integers(0, size - 1))
    taken = data.draw(st.sets(st.integers(0, size - 1)))
    place = draw(size, band, taken.__contains__, number)
    free = set(range(size)) - taken
    if not free:
        assert place is None
    else:
        assert place in free
        assert place >= band or not any(p >= band for p in free)
