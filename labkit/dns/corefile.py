"""The Corefile: kubeadm's default as text, and any Corefile read into the settings of the plugins that exist here.

    text  ->  directives (name, arguments, options in braces)  ->  Block per server block

Sources: kubeadm v1.34 cmd/kubeadm/app/phases/addons/dns/manifests.go; coredns.io/manual and each plugin's README.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from labkit.errors import ManifestError
from labkit.net.dnsrecords import qualified

RESOLV_CONF = "/etc/resolv.conf"


def default(cluster_domain: str = "cluster.local") -> str:
    """The Corefile that kubeadm v1.34 puts into the ConfigMap kube-system/coredns."""
    return f"""\
.:53 {{
    errors
    health {{
       lameduck 5s
    }}
    ready
    kubernetes {cluster_domain} in-addr.arpa ip6.arpa {{
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }}
    prometheus :9153
    forward . {RESOLV_CONF} {{
       max_concurrent 1000
    }}
    cache 30 {{
       disable success {cluster_domain}
       disable denial {cluster_domain}
    }}
    loop
    reload
    loadbalance
}}
"""


class Kubernetes(msgspec.Struct, frozen=True):
    """Zones are lower case with a trailing dot; empty `namespaces` means all."""

    zones: tuple[str, ...] = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
    ttl: int = 5
    pods: str = "disabled"
    namespaces: tuple[str, ...] = ()
    fallthrough: tuple[str, ...] = ()
    endpoint_pod_names: bool = False
    ignore_empty_service: bool = False


class Forward(msgspec.Struct, frozen=True):
    """`to`: `address`, `address:port` or the path of a resolv.conf; `policy` as CoreDNS names it."""

    zone: str
    to: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    policy: str = "random"
    max_concurrent: int = 0


class Block(msgspec.Struct, frozen=True):
    """One server block. A port of 0 means that the plugin is not there; `cache` is the longest TTL kept, in seconds."""

    zones: tuple[str, ...]
    kubernetes: Kubernetes | None = None
    forward: tuple[Forward, ...] = ()
    health: int = 0
    ready: int = 0
    prometheus: int = 0
    cache: int = 0
    loadbalance: bool = False
    reload: bool = False
    errors: bool = False
    loop: bool = False
    log: bool = False


class Directive(msgspec.Struct):
    line: int
    name: str
    args: list[str]
    options: list[Directive]


def parse(text: str) -> tuple[Block, ...]:
    """The server blocks of a Corefile. Raises `ManifestError` that names the line and what to write instead."""
    blocks = tuple(_block(directive) for directive in _read(text))
    if not blocks:
        raise ManifestError("Corefile: no server block. Write `.:53 { … }`.")
    return blocks


def _fail(directive: Directive, problem: str) -> ManifestError:
    return ManifestError(f"Corefile line {directive.line}: {problem}", line=directive.line)


def _read(text: str) -> list[Directive]:
    """Lines into nested directives: a brace at the end of a line opens options, one alone on a line closes them."""
    top = Directive(0, "", [], [])
    stack = [top]
    for number, line in enumerate(text.splitlines(), 1):
        words = [quoted or plain for quoted, plain in _words(line)]
        if not words:
            continue
        if words == ["}"]:
            if len(stack) == 1:
                raise ManifestError(f"Corefile line {number}: `}}` without a `{{` before it.", line=number)
            stack.pop()
            continue
        opens = words[-1] == "{"
        name, *args = words[:-1] if opens else words
        directive = Directive(number, name, args, [])
        stack[-1].options.append(directive)
        if opens:
            stack.append(directive)
    if len(stack) > 1:
        raise _fail(stack[-1], f"`{stack[-1].name} {{` is never closed. Add a line with `}}`.")
    return top.options


_WORD = re.compile(r'"([^"]*)"|((?!#)\S+)|#.*')


def _words(line: str) -> list[tuple[str, str]]:
    return [pair for pair in _WORD.findall(line) if any(pair)]


def _block(directive: Directive) -> Block:
    zones = tuple(_server_zone(directive, key) for key in (directive.name, *directive.args))
    settings: dict[str, Any] = {}
    for plugin in directive.options:
        reader = _PLUGINS.get(plugin.name)
        if reader is None:
            known = ", ".join(sorted(_PLUGINS))
            raise _fail(plugin, f"plugin `{plugin.name}` does not exist here. There are: {known}.")
        if plugin.name == "forward":
            settings["forward"] = (*settings.get("forward", ()), _forward(plugin))
            continue
        if plugin.name in settings:
            raise _fail(plugin, f"plugin `{plugin.name}` stands in this server block already. Leave one.")
        settings[plugin.name] = reader(plugin, zones)
    return Block(zones, **settings)


def _server_zone(directive: Directive, key: str) -> str:
    """`cluster.local`, `.:53` or `dns://.:53` as a zone; only port 53 is served."""
    zone, _, port = key.removeprefix("dns://").rstrip(",").partition(":")
    if port not in ("", "53") or "/" in zone:
        raise _fail(directive, f"`{key}` cannot be served: write a zone with port 53, like `cluster.local:53`.")
    return qualified(zone.lower())


def _zones(names: list[str]) -> tuple[str, ...]:
    return tuple(qualified(name.lower()) for name in names)


def _number(directive: Directive, low: int, high: int) -> int:
    text = directive.args[0] if len(directive.args) == 1 else ""
    if not text.isdigit() or not low <= int(text) <= high:
        raise _fail(directive, f"`{directive.name}` takes one number from {low} to {high}.")
    return int(text)


def _unknown(plugin: Directive, option: Directive) -> ManifestError:
    return _fail(option, f"option `{option.name}` of plugin `{plugin.name}` does not exist here.")


def _kubernetes(plugin: Directive, zones: tuple[str, ...]) -> Kubernetes:
    own = _zones(plugin.args) or zones
    settings: dict[str, Any] = {}
    for option in plugin.options:
        match option.name, option.args:
            case "pods", ["disabled" | "insecure" | "verified" as mode]:
                settings["pods"] = mode
            case "ttl", _:
                settings["ttl"] = _number(option, 0, 3600)
            case "namespaces", [_, *_]:
                settings["namespaces"] = tuple(option.args)
            case "fallthrough", _:
                settings["fallthrough"] = _zones(option.args) or own
            case "endpoint_pod_names", []:
                settings["endpoint_pod_names"] = True
            case "ignore", ["empty_service"]:
                settings["ignore_empty_service"] = True
            case (("pods" | "namespaces" | "endpoint_pod_names" | "ignore"), args):
                text = " ".join([option.name, *args])
                raise _fail(option, f"`{text}` is not understood: see CoreDNS's kubernetes plugin.")
            case _:
                raise _unknown(plugin, option)
    return Kubernetes(own, **settings)


def _forward(plugin: Directive) -> Forward:
    if len(plugin.args) < 2:
        raise _fail(plugin, "`forward` takes a zone and at least one address: `forward . 10.0.0.53`.")
    zone, *to = plugin.args
    for address in to:
        if "://" in address and not address.startswith("dns://"):
            raise _fail(plugin, f"`{address}` cannot be reached here: only plain DNS over UDP and TCP.")
    settings: dict[str, Any] = {}
    for option in plugin.options:
        match option.name, option.args:
            case "except", [_, *_]:
                settings["excluded"] = _zones(option.args)
            case "policy", ["random" | "round_robin" | "sequential" as policy]:
                settings["policy"] = policy
            case "max_concurrent", _:
                settings["max_concurrent"] = _number(option, 0, 1_000_000)
            case _:
                raise _unknown(plugin, option)
    return Forward(_zones([zone])[0], tuple(address.removeprefix("dns://") for address in to), **settings)


def _cache(plugin: Directive, _zones_: tuple[str, ...]) -> int:
    """Only forwarded answers are kept here, so `disable … ZONE` for the cluster's own zone is always so."""
    for option in plugin.options:
        if option.name != "disable":
            raise _unknown(plugin, option)
    return _number(plugin, 1, 86400) if plugin.args else 3600


def _port(standard: int) -> Callable[[Directive, tuple[str, ...]], int]:
    def read(plugin: Directive, _: tuple[str, ...]) -> int:
        if not plugin.args:
            return standard
        port = plugin.args[0].rpartition(":")[2]
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise _fail(plugin, f"`{plugin.name}` takes an address like `:{standard}`.")
        return int(port)

    return read


def _present(plugin: Directive, _: tuple[str, ...]) -> bool:
    return True


_PLUGINS: dict[str, Callable[[Directive, tuple[str, ...]], Any]] = {
    "cache": _cache,
    "errors": _present,
    "forward": lambda plugin, _: _forward(plugin),
    "health": _port(8080),
    "kubernetes": _kubernetes,
    "loadbalance": _present,
    "log": _present,
    "loop": _present,
    "prometheus": _port(9153),
    "ready": _port(8181),
    "reload": _present,
}
