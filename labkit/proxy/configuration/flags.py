"""kube-proxy's command line, as far as it has to do with its configuration.

    --flag value, --flag=value, --bool, --bool=false

A `--config` file takes the place of all flags but those that are about the file, about logging, and
`--hostname-override`. Source: Kubernetes v1.34, cmd/kube-proxy/app/options.go; pflag for how flags are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from labkit.proxy.configuration import duration
from labkit.proxy.configuration.defaults import completed, platform, with_port
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.text import ConfigError
from labkit.proxy.configuration.values import boolean, number, words

Read = Callable[[str], Any]


def _text(given: str) -> str:
    return given


def _gates(given: str) -> dict[str, bool]:
    pairs = [pair.partition("=") for pair in given.split(",") if pair]
    for name, found, _ in pairs:
        if not found:
            raise ValueError(f"missing bool value for {name}")
    return {name.strip(): boolean(value) for name, _, value in pairs}


def _lowest(given: str) -> str:
    return given.strip().lower()


# name -> how its value is read, and the field of the configuration that it sets: attributes, from the outside in.
FIELDS: Mapping[str, tuple[Read, tuple[str, ...]]] = {
    "bind-address": (_text, ("bind_address",)),
    "bind-address-hard-fail": (boolean, ("bind_address_hard_fail",)),
    "cluster-cidr": (_text, ("cluster_cidr",)),
    "config-sync-period": (duration.parse, ("config_sync_period",)),
    "conntrack-max-per-core": (number, ("conntrack", "max_per_core")),
    "conntrack-min": (number, ("conntrack", "min")),
    "conntrack-tcp-be-liberal": (boolean, ("conntrack", "tcp_be_liberal")),
    "conntrack-tcp-timeout-close-wait": (duration.parse, ("conntrack", "tcp_close_wait_timeout")),
    "conntrack-tcp-timeout-established": (duration.parse, ("conntrack", "tcp_established_timeout")),
    "conntrack-udp-timeout": (duration.parse, ("conntrack", "udp_timeout")),
    "conntrack-udp-timeout-stream": (duration.parse, ("conntrack", "udp_stream_timeout")),
    "detect-local-mode": (_text, ("detect_local_mode",)),
    "feature-gates": (_gates, ("feature_gates",)),
    "healthz-bind-address": (partial(with_port, port=10256), ("healthz_bind_address",)),
    "iptables-localhost-nodeports": (boolean, ("iptables", "localhost_node_ports")),
    "iptables-masquerade-bit": (number, ("iptables", "masquerade_bit")),
    "iptables-min-sync-period": (duration.parse, ("iptables", "min_sync_period")),
    "iptables-sync-period": (duration.parse, ("iptables", "sync_period")),
    "ipvs-exclude-cidrs": (words, ("ipvs", "exclude_cidrs")),
    "ipvs-min-sync-period": (duration.parse, ("ipvs", "min_sync_period")),
    "ipvs-scheduler": (_text, ("ipvs", "scheduler")),
    "ipvs-strict-arp": (boolean, ("ipvs", "strict_arp")),
    "ipvs-sync-period": (duration.parse, ("ipvs", "sync_period")),
    "ipvs-tcp-timeout": (duration.parse, ("ipvs", "tcp_timeout")),
    "ipvs-tcpfin-timeout": (duration.parse, ("ipvs", "tcp_fin_timeout")),
    "ipvs-udp-timeout": (duration.parse, ("ipvs", "udp_timeout")),
    "kube-api-burst": (number, ("client_connection", "burst")),
    "kube-api-content-type": (_text, ("client_connection", "content_type")),
    "kube-api-qps": (float, ("client_connection", "qps")),
    "kubeconfig": (_text, ("client_connection", "kubeconfig")),
    "metrics-bind-address": (partial(with_port, port=10249), ("metrics_bind_address",)),
    "nodeport-addresses": (words, ("node_port_addresses",)),
    "oom-score-adj": (number, ("oom_score_adj",)),
    "pod-bridge-interface": (_text, ("detect_local", "bridge_interface")),
    "pod-interface-name-prefix": (_text, ("detect_local", "interface_name_prefix")),
    "profiling": (boolean, ("enable_profiling",)),
    "proxy-mode": (_text, ("mode",)),
    "show-hidden-metrics-for-version": (_text, ("show_hidden_metrics_for_version",)),
}
LOGGING: Mapping[str, tuple[Read, tuple[str, ...]]] = {
    "log-flush-frequency": (duration.parse, ("logging", "flush_frequency")),
    "logging-format": (_text, ("logging", "format")),
    "v": (number, ("logging", "verbosity")),
}
OTHERS: Mapping[str, tuple[Read, str]] = {
    "cleanup": (boolean, "cleanup"),
    "config": (_text, "config"),
    "help": (boolean, "help"),
    "hostname-override": (_lowest, "hostname_override"),
    "init-only": (boolean, "init_only"),
    "master": (_text, "master"),
    "masquerade-all": (boolean, "masquerade_all"),
    "version": (boolean, "version"),
    "write-config-to": (_text, "write_config_to"),
}
SHORT = {"h": "help"}


class Options(msgspec.Struct, frozen=True):
    """A command line, read. `fields` and `logging`: (attributes, value) in the order given."""

    fields: tuple[tuple[tuple[str, ...], Any], ...] = ()
    logging: tuple[tuple[tuple[str, ...], Any], ...] = ()
    cleanup: bool = False
    config: str = ""
    help: bool = False
    hostname_override: str = ""
    init_only: bool = False
    master: str = ""
    masquerade_all: bool = False
    version: bool = False
    write_config_to: str = ""


def parse(arguments: Sequence[str]) -> Options:
    """Read a command line. Raises `ConfigError` in pflag's words."""
    values: dict[str, Any] = {"fields": (), "logging": ()}
    for name, given in _pairs(list(arguments)):
        for known, into in ((FIELDS, "fields"), (LOGGING, "logging")):
            if name in known:
                read, path = known[name]
                values[into] += ((path, _value(name, given, read)),)
        if name in OTHERS:
            read, field = OTHERS[name]
            values[field] = _value(name, given, read)
    if "hostname_override" in values and not values["hostname_override"]:
        raise ConfigError("failed complete: empty hostname-override is invalid")
    return Options(**values)


def resolve(
    options: Options, file: KubeProxyConfiguration | None, defaults: Mapping[str, Any] | None = None
) -> KubeProxyConfiguration:
    """The configuration that a command line asks for; `file`: what its --config says. `defaults`: as `completed` has.

    The periods of a mode other than the chosen one are ignored.
    """
    more = dict(defaults or {})
    if file is None:
        config = completed(KubeProxyConfiguration(), **more)
        for path, value in options.fields:
            config = _with(config, path, value)
        if options.masquerade_all:
            part = "nftables" if config.mode == "nftables" else "iptables"
            config = _with(config, (part, "masquerade_all"), True)
    else:
        config = completed(file, **more)
    for path, value in options.logging:
        config = _with(config, path, value)
    if options.hostname_override:
        config = replace(config, hostname_override=options.hostname_override)
    return platform(config)


def _with(value: Any, path: tuple[str, ...], new: Any) -> Any:
    name, *rest = path
    return replace(value, **{name: _with(getattr(value, name), tuple(rest), new) if rest else new})


def _pairs(arguments: list[str]) -> Iterator[tuple[str, str]]:
    known = FIELDS.keys() | LOGGING.keys() | OTHERS.keys()
    while arguments:
        word = arguments.pop(0)
        if not word.startswith("-") or word == "-":
            raise ConfigError(f'"kube-proxy" does not take any arguments, got ["{word}"]')
        name, found, given = word.lstrip("-").partition("=")
        short = not word.startswith("--")
        if short and name not in ("v", *SHORT):
            raise ConfigError(f"unknown shorthand flag: {name[:1]!r} in {word}")
        name = SHORT.get(name, name) if short else name
        if name not in known:
            raise ConfigError(f"unknown flag: --{name}")
        if found:
            yield name, given
        elif _reader(name) is boolean:
            yield name, "true"
        elif arguments:
            yield name, arguments.pop(0)
        else:
            raise ConfigError(f"flag needs an argument: --{name}")


def _reader(name: str) -> Read:
    return (FIELDS.get(name) or LOGGING.get(name) or OTHERS[name])[0]


def _value(name: str, given: str, read: Read) -> Any:
    try:
        return read(given)
    except ValueError as error:
        raise ConfigError(f'invalid argument "{given}" for "--{name}" flag: {error}') from None
