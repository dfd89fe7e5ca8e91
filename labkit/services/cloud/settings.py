"""What annotations of a Service ask of its load balancer, as every cloud has them under a prefix of its own.

    service.beta.kubernetes.io/lab-load-balancer-ip-mode: Proxy                    VIP without it
    …-healthcheck-protocol: TCP        …-healthcheck-port: traffic-port            which question a node has to answer
    …-healthcheck-path: /healthz
    …-healthcheck-interval: "10"       …-healthcheck-timeout: "6"                  seconds
    …-healthcheck-healthy-threshold: "2"   …-healthcheck-unhealthy-threshold: "6"  how many answers in a row count

The names behind the prefix are AWS's (cloud-provider-aws, docs/service_controller.md); defaults are shorter than any
cloud's, for nobody waits gladly. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeVar, cast

import msgspec

from labkit.errors import LabError

PREFIX = "service.beta.kubernetes.io/lab-load-balancer-"
PROXY_HEALTH_PORT = 10256
"""Where kube-proxy says whether it is well (--healthz-bind-address)."""
MODES = ("VIP", "Proxy")
PROTOCOLS = ("HTTP", "TCP")

Mode = Literal["VIP", "Proxy"]
N = TypeVar("N", int, float)


class HealthCheck(msgspec.Struct, frozen=True):
    """What every node is asked again and again; `port` 0: the node port of the first listener of TCP."""

    protocol: str = "HTTP"
    port: int = PROXY_HEALTH_PORT
    path: str = "/healthz"
    interval: float = 1.0
    timeout: float = 1.0
    healthy: int = 1
    unhealthy: int = 2
    prompt: bool = True
    """Ask at once, too, when endpoints have changed: until somebody sets an interval, to see what one is."""


def mode(annotations: Mapping[str, str]) -> Mode:
    """How packets reach the nodes. Raises `LabError`."""
    return cast(Mode, _one_of(annotations, "ip-mode", MODES, "VIP"))


def health_check(annotations: Mapping[str, str], local_port: int) -> HealthCheck:
    """The check that the annotations describe. Raises `LabError`.

    local_port: the Service's `healthCheckNodePort`; where it has one, no other question makes sense.
    """
    found = HealthCheck()
    protocol = _one_of(annotations, "healthcheck-protocol", PROTOCOLS, "")
    port = annotations.get(f"{PREFIX}healthcheck-port", "")
    if local_port:
        protocol, number, path = "HTTP", local_port, found.path
    else:
        number = _port(port) if port else 0 if protocol else found.port
        path = annotations.get(f"{PREFIX}healthcheck-path", found.path)
        protocol = protocol or ("TCP" if port == "traffic-port" else found.protocol)
    if not re.fullmatch(r"/[!-~]*", path):
        raise _refused("healthcheck-path", path, "a path such as /healthz")
    return HealthCheck(
        protocol=protocol,
        port=number,
        path=path,
        interval=_number(annotations, "healthcheck-interval", found.interval, 300),
        timeout=_number(annotations, "healthcheck-timeout", found.timeout, 60),
        healthy=_number(annotations, "healthcheck-healthy-threshold", found.healthy, 10),
        unhealthy=_number(annotations, "healthcheck-unhealthy-threshold", found.unhealthy, 10),
        prompt=f"{PREFIX}healthcheck-interval" not in annotations,
    )


def _one_of(annotations: Mapping[str, str], name: str, values: tuple[str, ...], without: str) -> str:
    value = annotations.get(PREFIX + name, without)
    if value not in (*values, without):
        raise _refused(name, value, f"one of {', '.join(values)}")
    return value


def _port(text: str) -> int:
    if text == "traffic-port":
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise _refused("healthcheck-port", text, "traffic-port, or a number from 1 to 65535")
    return int(text)


def _number(annotations: Mapping[str, str], name: str, without: N, most: int) -> N:
    text = annotations.get(PREFIX + name)
    if text is None:
        return without
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise _refused(name, text, f"a number from 1 to {most}")
    return type(without)(int(text))


def _refused(name: str, value: str, wanted: str) -> LabError:
    return LabError(f"annotation {PREFIX}{name} is {value!r}: {wanted} is wanted")
