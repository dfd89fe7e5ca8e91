"""What annotations ask of a load balancer, and what they may not ask."""

from __future__ import annotations

import pytest

from labkit.errors import LabError
from labkit.services.cloud.health import Target
from labkit.services.cloud.settings import HealthCheck, health_check, mode

from .conftest import PREFIX


def annotations(**given):
    return {PREFIX + name.replace("_", "-"): value for name, value in given.items()}


def test_without_annotations_kube_proxy_is_asked():
    found = health_check({}, 0)
    assert (found.protocol, found.port, found.path, found.prompt) == ("HTTP", 10256, "/healthz", True)
    assert mode({}) == "VIP" and mode(annotations(ip_mode="Proxy")) == "Proxy"


@pytest.mark.parametrize(
    ("given", "protocol", "port"),
    [
        ({"healthcheck_protocol": "TCP"}, "TCP", 0),
        ({"healthcheck_protocol": "TCP", "healthcheck_port": "22"}, "TCP", 22),
        ({"healthcheck_port": "traffic-port"}, "TCP", 0),
        ({"healthcheck_protocol": "HTTP", "healthcheck_port": "traffic-port"}, "HTTP", 0),
        ({"healthcheck_port": "8080"}, "HTTP", 8080),
    ],
)
def test_what_is_asked(given, protocol, port):
    found = health_check(annotations(**given), 0)
    assert (found.protocol, found.port) == (protocol, port)


def test_a_health_check_node_port_is_the_only_question_that_makes_sense():
    given = annotations(healthcheck_protocol="TCP", healthcheck_port="traffic-port", healthcheck_interval="7")
    found = health_check(given, 30123)
    assert (found.protocol, found.port, found.path) == ("HTTP", 30123, "/healthz")
    assert (found.interval, found.prompt) == (7.0, False)  # who sets an interval wants to see it


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("ip-mode", "DNS", "one of VIP, Proxy"),
        ("healthcheck-protocol", "UDP", "one of HTTP, TCP"),
        ("healthcheck-port", "0", "traffic-port, or a number from 1 to 65535"),
        ("healthcheck-port", "http", "traffic-port, or a number from 1 to 65535"),
        ("healthcheck-path", "no slash", "a path such as /healthz"),
        ("healthcheck-path", "/a\r\nHost: b", "a path such as /healthz"),
        ("healthcheck-interval", "0", "a number from 1 to 300"),
        ("healthcheck-interval", "1s", "a number from 1 to 300"),
        ("healthcheck-timeout", "61", "a number from 1 to 60"),
        ("healthcheck-healthy-threshold", "-1", "a number from 1 to 10"),
        ("healthcheck-unhealthy-threshold", "11", "a number from 1 to 10"),
    ],
)
def test_nonsense_is_refused(name, value, wanted):
    with pytest.raises(LabError) as error:
        mode({PREFIX + name: value})
        health_check({PREFIX + name: value}, 0)
    assert error.value.message == f"annotation {PREFIX}{name} is {value!r}: {wanted} is wanted"


def test_a_verdict_needs_as_many_answers_in_a_row_as_the_thresholds_say():
    check = HealthCheck(healthy=2, unhealthy=3)
    heard = []
    target = Target()
    for good in (True, False, True, True, False, False, True, False, False, False):
        target = target.heard(good, check)
        heard.append(target.healthy)
    assert heard == [False, False, False, True, True, True, True, True, True, False]
