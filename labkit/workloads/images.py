"""What a container does, from its image, command, arguments and ports: no image is ever pulled. Pure.

    command given ────────────────────────────> runs for real, with this machine's programs
    a tool's image (busybox, curl, …) ────────> its own entry point with the arguments, for real
    a server's image, or ports declared ──────> the built-in server on those ports
    pause ────────────────────────────────────> nothing, for ever
    anything else, with arguments ────────────> the arguments as a command, for real; without: the server on port 80

The ports of well-known images are those that their documentation has the server listen on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from labkit.api.objects import Container
from labkit.errors import CommandError

DEFAULT_PORT = 80
AGNHOST_HTTP, AGNHOST_UDP, AGNHOST_HOSTNAME = 8080, 8081, 9376

KNOWN_PORTS = {
    "apache": 80,
    "caddy": 80,
    "cassandra": 9042,
    "consul": 8500,
    "coredns": 53,
    "couchdb": 5984,
    "drupal": 80,
    "echo-server": 80,
    "echoserver": 8080,
    "elasticsearch": 9200,
    "etcd": 2379,
    "ghost": 2368,
    "grafana": 3000,
    "haproxy": 80,
    "hello-app": 8080,
    "http-echo": 5678,
    "httpbin": 80,
    "httpd": 80,
    "influxdb": 8086,
    "jenkins": 8080,
    "kafka": 9092,
    "kibana": 5601,
    "kuard": 8080,
    "mariadb": 3306,
    "memcached": 11211,
    "minio": 9000,
    "mongo": 27017,
    "mongodb": 27017,
    "mysql": 3306,
    "nats": 4222,
    "nginx": 80,
    "nginx-unprivileged": 8080,
    "openresty": 80,
    "postgres": 5432,
    "postgresql": 5432,
    "prometheus": 9090,
    "rabbitmq": 5672,
    "redis": 6379,
    "registry": 5000,
    "test-webserver": 80,
    "tomcat": 8080,
    "traefik": 80,
    "valkey": 6379,
    "vault": 8200,
    "whoami": 80,
    "wordpress": 80,
    "zookeeper": 2181,
}
BOOKINFO, BOOKINFO_PORT = "examples-bookinfo-", 9080

TOOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # entry point, default arguments
    "alpine": ((), ("/bin/sh",)),
    "bash": ((), ("bash",)),
    "busybox": ((), ("sh",)),
    "curl": (("curl",), ()),
    "debian": ((), ("bash",)),
    "dnsutils": ((), ("sleep", "3600")),
    "jessie-dnsutils": ((), ("sleep", "3600")),
    "netshoot": ((), ("sh",)),
    "python": ((), ("python3",)),
    "ubuntu": ((), ("bash",)),
}


class Serve(msgspec.Struct, frozen=True):
    """The built-in server. `override`: the path that answers every request; `text`: the body of every answer."""

    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    override: str = ""
    text: str | None = None


class Execute(msgspec.Struct, frozen=True):
    """A real command."""

    argv: tuple[str, ...]


class Idle(msgspec.Struct, frozen=True):
    """Nothing to do here but to be there: the pause container, and what another process serves."""


Behaviour = Serve | Execute | Idle


def behaviour(container: Container, args: Sequence[str] = (), command: Sequence[str] = ()) -> Behaviour:
    """What the container does. `command` and `args` are its own, with their variables expanded.

    Raises `CommandError` for a subcommand of agnhost that the lab has not.
    """
    if is_dns(container.image) or is_proxy(container.image):
        return Idle()
    name = short_name(container.image)
    if command:
        program = command[0].rpartition("/")[2]
        if program not in ("agnhost", "pause"):
            return Execute((*command, *args))
        name, args = program, (*command[1:], *args)
    if name == "pause":
        return Idle()
    if name == "agnhost":
        return _agnhost(container, args)
    if name == "http-echo":
        return _http_echo(args)
    if name in TOOLS:
        entry, default = TOOLS[name]
        return Execute((*entry, *(args or default)))
    tcp, udp = (_declared(container, protocol) for protocol in ("TCP", "UDP"))
    if tcp or udp:
        return Serve(tcp, udp)
    port = known_port(name)
    if port is None and args and not args[0].startswith("-"):
        return Execute(tuple(args))
    return Serve((_environment_port(container) or port or DEFAULT_PORT,))


def short_name(image: str) -> str:
    """`registry.example:5000/team/nginx:1.27@sha256:…` -> `nginx`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()


def is_dns(image: str) -> bool:
    """Whether a container of the image is CoreDNS: the lab's process for DNS serves its pod."""
    return "coredns" in short_name(image)


def is_proxy(image: str) -> bool:
    """Whether a container of the image is kube-proxy: the lab's process for control runs its node's."""
    return short_name(image) == "kube-proxy"


def known_port(name: str) -> int | None:
    """The port of a well-known image: by its whole name, or by its first word (`redis-stack` -> redis)."""
    if name.startswith(BOOKINFO):
        return BOOKINFO_PORT
    return KNOWN_PORTS.get(name) or KNOWN_PORTS.get(name.partition("-")[0])


def _declared(container: Container, protocol: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(p.container_port for p in container.ports if p.protocol == protocol))


def _environment_port(container: Container) -> int | None:
    value = next((variable.value for variable in container.env if variable.name == "HTTP_PORT"), "")
    return int(value) if value.isdigit() else None


def _agnhost(container: Container, args: Sequence[str]) -> Behaviour:
    """The subcommands of agnhost that serve (test/images/agnhost/README.md).

    Without one the real image does nothing; here it is a server, which is what it is used for.
    """
    subcommand, flags = (args[0], args[1:]) if args else ("", ())
    if subcommand == "pause":
        return Idle()
    if subcommand == "netexec":
        tcp, udp = _flag(flags, "http-port", AGNHOST_HTTP), _flag(flags, "udp-port", AGNHOST_UDP)
        override = next((f.partition("=")[2] for f in flags if f.startswith("--http-override=")), "")
        return Serve((tcp,), (udp,) if udp > 0 else (), override)
    if subcommand == "serve-hostname":
        return Serve((_flag(flags, "port", AGNHOST_HOSTNAME),), override="/hostname")
    if subcommand:
        raise CommandError(
            f"agnhost {subcommand} is not built into the lab; netexec, serve-hostname and pause are", code=127
        )
    tcp_ports, udp_ports = _declared(container, "TCP"), _declared(container, "UDP")
    if tcp_ports or udp_ports:
        return Serve(tcp_ports, udp_ports)
    return Serve((_environment_port(container) or AGNHOST_HTTP,), (AGNHOST_UDP,))


def _http_echo(args: Sequence[str]) -> Serve:
    """hashicorp/http-echo: one text for every request."""
    given = {key.lstrip("-"): value for key, _, value in (arg.partition("=") for arg in args)}
    port = given.get("listen", "").rpartition(":")[2]
    return Serve((int(port) if port.isdigit() else KNOWN_PORTS["http-echo"],), text=f"{given.get('text', '')}\n")


def _flag(flags: Sequence[str], name: str, default: int) -> int:
    """`--name=8080` or `--name 8080`."""
    for at, flag in enumerate(flags):
        key, equals, value = flag.lstrip("-").partition("=")
        if key == name:
            text = value if equals else flags[at + 1] if at + 1 < len(flags) else ""
            if not re.fullmatch(r"-?\d+", text):
                raise CommandError(f"agnhost: --{name} needs a port number, not {text!r}", code=1)
            return int(text)
    return default
