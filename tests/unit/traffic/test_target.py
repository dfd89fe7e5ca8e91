import pytest

from labkit.errors import LabError
from labkit.traffic.target import Target, parse


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("http://web.shop", Target("http", "web.shop", 80, "/"), "web.shop"),
        ("web.shop", Target("http", "web.shop", 80, "/"), "web.shop"),
        ("web.shop:8080/cart?id=1", Target("http", "web.shop", 8080, "/cart?id=1"), "web.shop:8080"),
        ("http://web?x", Target("http", "web", 80, "/?x"), "web"),
        ("https://web/", Target("https", "web", 443, "/"), "web"),
        ("http://[fd00::1]/", Target("http", "fd00::1", 80, "/"), "[fd00::1]"),
        ("tcp://10.96.0.20:80", Target("tcp", "10.96.0.20", 80, "/"), "10.96.0.20:80"),
        ("udp://web:8081", Target("udp", "web", 8081, "/"), "web:8081"),
    ],
)
def test_targets(url: str, target: Target, authority: str) -> None:
    assert parse(url) == target
    assert target.authority == authority


@pytest.mark.parametrize(
    "url", ["", "ftp://web", "http://", "tcp://web", "udp://web", "http://web:99999", "http://web:x"]
)
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(LabError, match="write for example"):
        parse(url)
