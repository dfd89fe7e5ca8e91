"""What the proxies of a lab are told: the ConfigMap that kubeadm makes of a cluster's KubeProxyConfiguration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from labkit.control.store import Raw, Store
from labkit.net.topology import POD_NETWORK, POD_NETWORKS
from labkit.proxy import addon
from labkit.proxy.configuration import text
from labkit.proxy.configuration.defaults import completed, platform
from labkit.proxy.configuration.duration import Duration
from labkit.proxy.configuration.fields import ClientConnection
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.configuration.text import ConfigError
from labkit.proxy.configuration.validation import MODES as REAL
from labkit.proxy.configuration.validation import validate
from labkit.proxy.daemonset import PROGRAM
from labkit.proxy.modes import MODES

PROMPT = Duration(0)
"""minSyncPeriod where nobody sets one: in a lab every change is in force at once; kube-proxy takes 1 s."""


def given(values: Mapping[str, Any], pod_networks: str = POD_NETWORK) -> str:
    """The file of a lab's proxies, with what kubeadm writes into each. Raises `ConfigError`.

    pod_networks: one for each IP family, with a comma between
    """
    config, _ = text.convert(values)
    kubeconfig = f"{addon.FOLDER}/{addon.KUBECONFIG}"
    client = config.client_connection
    complete = replace(
        config,
        cluster_cidr=config.cluster_cidr or pod_networks,
        client_connection=replace(client, kubeconfig=kubeconfig) if client == ClientConnection() else client,
    )
    return text.written(complete, values)


def objects(values: Mapping[str, Any], server: str, dual: bool, program: str) -> list[Raw]:
    """The add-on of a lab that was asked for these values; `dual`: of both IP families; `program`: if not its own."""
    config = given(values, ",".join(POD_NETWORKS.values()) if dual else POD_NETWORK)
    return addon.addon(config, server, program or PROGRAM)


def read(store: Store) -> tuple[Settings, list[str]]:
    """What a proxy that starts now goes by, and what a strict decoder says against it. Raises `ConfigError`."""
    config_map = store.find("ConfigMap", addon.NAMESPACE, addon.NAME)
    if config_map is None:
        said = "the ConfigMap kube-system/kube-proxy is not there: create it again, with a key config.conf"
        raise ConfigError(said, problems=[said])
    settings, complaints = _decoded(config_map.get("data", {}).get(addon.CONFIG, ""))
    return settings, list(complaints)


@lru_cache(maxsize=1)
def _decoded(content: str) -> tuple[Settings, tuple[str, ...]]:
    """Of a file's text. The nodes' proxies start together, and read the same one."""
    found, complaints = text.read(content)
    config = platform(completed(found, PROMPT))
    if faults := validate(config, [mode for mode in MODES if mode not in REAL]):
        raise ConfigError(f"failed validate: {'; '.join(faults)}", problems=faults)
    if config.mode not in MODES:
        said = f"mode {config.mode!r} is none that this lab has: {', '.join(MODES)}"
        raise ConfigError(said, problems=[said])
    if config.mode != "iptables" and config.detect_local_mode in ("BridgeInterface", "InterfaceNamePrefix"):
        said = f"detectLocalMode {config.detect_local_mode} is for the lab's iptables mode only, not {config.mode}"
        raise ConfigError(said, problems=[said])
    return Settings(config), tuple(complaints)
