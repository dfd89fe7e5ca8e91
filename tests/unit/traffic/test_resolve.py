"""The resolver's pure parts: what resolv.conf means, which names are tried, /etc/hosts."""

import asyncio

import dns.resolver
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.net.place import Place
from labkit.traffic import resolve
from labkit.traffic.resolve import Config, candidates, in_hosts, parse

POD = """search shop.svc.cluster.local svc.cluster.local cluster.local
nameserver 10.96.0.10
options ndots:5
"""


def test_a_pods_file() -> None:
    search = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
    assert parse(POD) == Config(("10.96.0.10",), search, ndots=5)


def test_limits_and_defaults() -> None:
    assert parse("") == Config(("127.0.0.1",), (), 1, 5, 2, False)
    text = "nameserver a\nnameserver b\nnameserver c\nnameserver d\noptions ndots:99 timeout:99 attempts:99 use-vc\n"
    assert parse(text) == Config(("a", "b", "c"), (), 15, 30, 5, True)
    assert parse("options timeout:0 attempts:0").timeout == 1
    assert parse("options ndots:x rotate").ndots == 1
    assert parse("search a b\nsearch c # d\n; comment\n# search e").search == ("c",)
    assert parse("domain example.com.").search == ("example.com",)


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("web", "web.shop.svc.cluster.local.", "web.", 4),
        ("web.shop", "web.shop.shop.svc.cluster.local.", "web.shop.", 4),
        ("a.b.c.d.e", "a.b.c.d.e.shop.svc.cluster.local.", "a.b.c.d.e.", 4),
        ("a.b.c.d.e.f", "a.b.c.d.e.f.", "a.b.c.d.e.f.cluster.local.", 4),
        ("web.shop.svc.cluster.local.", "web.shop.svc.cluster.local.", "web.shop.svc.cluster.local.", 1),
    ],
)  # fmt: skip
def test_candidates_of_a_pod(name: str, first: str, last: str, count: int) -> None:
    found = candidates(name, parse(POD))
    assert (found[0], found[-1], len(found)) == (first, last, count)


labels = st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True)


@given(st.lists(labels, min_size=1, max_size=7), st.lists(labels, max_size=4), st.integers(0, 7))
def test_candidates_are_those_of_dnspython(name: list[str], search: list[str], ndots: int) -> None:
    """dnspython's own resolver has the same rule."""
    other = dns.resolver.Resolver(configure=False)
    other.search = [dns.name.from_text(domain) for domain in search]
    other.ndots = ndots
    asked = other._get_qnames_to_try(dns.name.from_text(".".join(name), None), True)
    assert candidates(".".join(name), Config(search=tuple(search), ndots=ndots)) == [str(n) for n in asked]


def test_hosts() -> None:
    text = "# pods\n127.0.0.1\tlocalhost\n10.0.0.1 Web web.shop # web2\n10.0.0.2 web\n"
    assert in_hosts("web", text) == ("10.0.0.1",)
    assert in_hosts("WEB.shop.", text) == ("10.0.0.1",)
    assert in_hosts("web2", text) == ()
    assert in_hosts("", "") == ()


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
def test_an_address_is_its_own(address: str) -> None:
    assert asyncio.run(resolve.resolve(Place("x", "pod", "/nowhere"), address)).addresses == (address,)


@pytest.mark.parametrize("text", ["10.0.0", "10.0.0.256", "web", "::g", ""])
def test_what_is_no_address(text: str) -> None:
    assert not resolve.is_address(text)
