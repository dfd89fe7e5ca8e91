from typing import Any

import msgspec
import pytest

from labkit.api.objects import Container
from labkit.errors import CommandError
from labkit.workloads.images import Execute, Idle, Serve, behaviour, known_port, short_name


def plan(**fields: Any) -> Serve | Execute | Idle:
    container = msgspec.convert({"name": "c", **fields}, Container)
    return behaviour(container, container.args, container.command)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27-alpine", "nginx"),
        ("registry.example:5000/team/nginx", "nginx"),
        ("docker.io/library/redis:7@sha256:0123", "redis"),
        ("registry.k8s.io/e2e-test-images/agnhost:2.53", "agnhost"),
        ("", ""),
    ],
)
def test_names(image: str, name: str) -> None:
    assert short_name(image) == name


@pytest.mark.parametrize(
    ("image", "port"),
    [
        ("nginx:1.27", 80), ("httpd", 80), ("traefik:v3", 80), ("haproxy", 80), ("redis", 6379), ("mysql:8", 3306),
        ("mariadb", 3306), ("postgres:16", 5432), ("mongo", 27017), ("memcached", 11211), ("rabbitmq:3", 5672),
        ("bitnami/redis-cluster", 6379), ("nginxinc/nginx-unprivileged", 8080), ("unheard/of", 80), ("", 80),
        ("registry.istio.io/release/examples-bookinfo-reviews-v3:1.20.3", 9080),
    ],
)  # fmt: skip
def test_a_server_without_declared_ports(image: str, port: int) -> None:
    assert plan(image=image) == Serve((port,))


def test_declared_ports_are_served_instead() -> None:
    ports = [{"containerPort": 9376}, {"containerPort": 53, "protocol": "UDP"}, {"containerPort": 9376}]
    assert plan(image="nginx", ports=ports) == Serve((9376,), (53,))
    assert plan(image="unheard/of", ports=ports, args=["serve"]) == Serve((9376,), (53,))
    assert plan(image="x", ports=[{"containerPort": 5, "protocol": "SCTP"}]) == Serve((80,))


def test_http_port() -> None:
    assert plan(image="app", env=[{"name": "HTTP_PORT", "value": "3000"}]) == Serve((3000,))
    assert plan(image="app", env=[{"name": "HTTP_PORT", "value": "x"}]) == Serve((80,))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ((), Serve((8080,), (8081,))),
        (("netexec",), Serve((8080,), (8081,))),
        (("netexec", "--http-port=80", "--udp-port=81"), Serve((80,), (81,))),
        (("netexec", "--http-port", "80", "--udp-port", "-1"), Serve((80,))),
        (("netexec", "--http-override=/echo?msg=x"), Serve((8080,), (8081,), "/echo?msg=x")),
        (("serve-hostname",), Serve((9376,), override="/hostname")),
        (("serve-hostname", "--port=80"), Serve((80,), override="/hostname")),
        (("pause",), Idle()),
    ],
)
def test_agnhost(args: tuple[str, ...], expected: object) -> None:
    assert plan(image="registry.k8s.io/e2e-test-images/agnhost:2.53", args=args) == expected
    assert plan(image="x", command=["/agnhost"], args=args) == expected


def test_agnhost_declares_its_ports() -> None:
    assert plan(image="agnhost", ports=[{"containerPort": 80}]) == Serve((80,))


def test_what_agnhost_cannot_do_here() -> None:
    with pytest.raises(CommandError, match="agnhost guestbook is not built into the lab"):
        plan(image="agnhost", args=["guestbook"])
    with pytest.raises(CommandError, match="--http-port needs a port number"):
        plan(image="agnhost", args=["netexec", "--http-port"])


def test_commands_are_real() -> None:
    assert plan(image="nginx", command=["sleep", "3600"]) == Execute(("sleep", "3600"))
    assert plan(image="x", command=["sh", "-c"], args=["true"]) == Execute(("sh", "-c", "true"))
    assert plan(image="unheard/of", args=["sleep", "5"]) == Execute(("sleep", "5"))
    assert plan(image="unheard/of", args=["--flag"]) == Serve((80,))
    assert plan(image="nginx", args=["-g", "daemon off;"]) == Serve((80,))


def test_tools() -> None:
    assert plan(image="busybox") == Execute(("sh",))
    assert plan(image="busybox:1.36", args=["sleep", "1"]) == Execute(("sleep", "1"))
    assert plan(image="curlimages/curl", args=["-s", "http://web"]) == Execute(("curl", "-s", "http://web"))


def test_pause() -> None:
    assert plan(image="registry.k8s.io/pause:3.10") == Idle()
    assert plan(image="x", command=["/pause"]) == Idle()


def test_http_echo() -> None:
    assert plan(image="hashicorp/http-echo", args=["-text=apple"]) == Serve((5678,), text="apple\n")
    assert plan(image="hashicorp/http-echo", args=["-listen=:80", "-text=a=b"]) == Serve((80,), text="a=b\n")


def test_known_port() -> None:
    assert known_port("nothing-known") is None
