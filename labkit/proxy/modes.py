"""The proxy modes by name, as `--proxy-mode` has them."""

from __future__ import annotations

from collections.abc import Callable

from labkit.linux.iptables import Variant
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import Mode

Make = Callable[[str, ProxyConfig, Variant], Mode]


def _iptables(path: str, config: ProxyConfig, variant: Variant) -> Mode:
    from labkit.proxy.iptables.mode import IptablesMode

    return IptablesMode(path, config, variant, fresh=True)


def _nftables(path: str, config: ProxyConfig, _: Variant) -> Mode:
    from labkit.proxy.nftables.mode import NftablesMode

    return NftablesMode(path, config)


def _ipvs(path: str, config: ProxyConfig, variant: Variant) -> Mode:
    from labkit.proxy.ipvs.mode import IpvsMode

    return IpvsMode(path, config, variant, fresh=True)


def _userspace(path: str, config: ProxyConfig, variant: Variant) -> Mode:
    from labkit.proxy.userspace.mode import UserspaceMode

    return UserspaceMode(path, config, variant, fresh=True)


def _kernelspace(path: str, config: ProxyConfig, variant: Variant) -> Mode:
    from labkit.proxy.kernelspace.mode import KernelspaceMode

    return KernelspaceMode(path, config, variant, fresh=True)


def _ebpf(path: str, config: ProxyConfig, _: Variant) -> Mode:
    from labkit.proxy.ebpf.mode import EbpfMode

    return EbpfMode(path, config)


MODES: dict[str, Make] = {
    "iptables": _iptables,
    "nftables": _nftables,
    "ipvs": _ipvs,
    "ebpf": _ebpf,
    "userspace": _userspace,
    "kernelspace": _kernelspace,
}
"""Name -> maker of a mode for the node at a path, which has nothing of kube-proxy yet. Imported when first used."""
