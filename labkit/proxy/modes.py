"""The proxy modes by name, as `--proxy-mode` has them."""

from __future__ import annotations

from collections.abc import Callable

from labkit.linux.iptables import Variant
from labkit.proxy.config import ProxyConfig
from labkit.proxy.mode import Mode

Make = Callable[[str, ProxyConfig, Variant, bool], Mode]


def _iptables(path: str, config: ProxyConfig, variant: Variant, fresh: bool) -> Mode:
    from labkit.proxy.iptables.mode import IptablesMode

    return IptablesMode(path, config, variant, fresh)


def _nftables(path: str, config: ProxyConfig, _: Variant, __: bool) -> Mode:
    from labkit.proxy.nftables.mode import NftablesMode

    return NftablesMode(path, config)


def _ipvs(path: str, config: ProxyConfig, variant: Variant, fresh: bool) -> Mode:
    from labkit.proxy.ipvs.mode import IpvsMode

    return IpvsMode(path, config, variant, fresh)


def _userspace(path: str, config: ProxyConfig, variant: Variant, fresh: bool) -> Mode:
    from labkit.proxy.userspace.mode import UserspaceMode

    return UserspaceMode(path, config, variant, fresh)


def _kernelspace(path: str, config: ProxyConfig, variant: Variant, fresh: bool) -> Mode:
    from labkit.proxy.kernelspace.mode import KernelspaceMode

    return KernelspaceMode(path, config, variant, fresh)


def _ebpf(path: str, config: ProxyConfig, _: Variant, __: bool) -> Mode:
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
"""Name -> maker of a mode for the node at a path, imported when first used. `fresh`: no kube-proxy was there yet."""
LASTING = ("iptables", "nftables", "ipvs")
"""Those whose work goes on when the proxy has ended: it is in the kernel alone."""
