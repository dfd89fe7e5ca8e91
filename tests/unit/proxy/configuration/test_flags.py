"""kube-proxy's command line, and which of it counts beside a file."""

import pytest

from labkit.net.rules import Family
from labkit.proxy.config import ProxyConfig
from labkit.proxy.configuration.duration import Duration
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.flags import FIELDS, LOGGING, OTHERS, parse, resolve
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.configuration.text import ConfigError
from labkit.proxy.configuration.validation import validate

BAD, PARSE, SYNTAX = "invalid argument ", "strconv.Parse", "invalid syntax"
UNITLESS = "missing unit in duration"


def settings(*words: str, file: KubeProxyConfiguration | None = None) -> Settings:
    config = resolve(parse(words), file)
    assert validate(config) == []
    return Settings(config)


def test_flags_shape_the_rules() -> None:
    made = settings(
        "--cluster-cidr=10.0.0.0/8,fd00::/48", "--masquerade-all", "--iptables-masquerade-bit", "3",
        "--iptables-localhost-nodeports=false", "--nodeport-addresses=172.18.0.0/16,fd01::/64",
        "--iptables-min-sync-period", "2s", "--conntrack-tcp-be-liberal", "-v=4",
    )  # fmt: skip
    assert (made.mode, made.min_sync_period, made.sync_period) == ("iptables", 2, 30)
    assert made.config.logging.verbosity == 4
    assert made.proxy("IPv4") == ProxyConfig(
        cluster_cidr="10.0.0.0/8", masquerade_all=True, masquerade_bit=3, localhost_nodeports=False,
        nodeport_addresses=("172.18.0.0/16",), conntrack_liberal=True,
    )  # fmt: skip
    assert made.proxy("IPv6").cluster_cidr == "fd00::/48"
    assert made.proxy("IPv6").nodeport_addresses == ("fd01::/64",)
    assert dict(made.sysctls()) == {
        "nf_conntrack_tcp_timeout_established": "86400", "nf_conntrack_tcp_timeout_close_wait": "3600",
        "nf_conntrack_tcp_be_liberal": "1",
    }  # fmt: skip


def test_periods_and_masquerading_belong_to_the_mode() -> None:
    ipvs = settings("--proxy-mode=ipvs", "--ipvs-scheduler=wrr", "--ipvs-sync-period=1m", "--iptables-sync-period=5s")
    assert (ipvs.sync_period, ipvs.min_sync_period, ipvs.config.ipvs.scheduler) == (60, 0, "wrr")
    nftables = settings("--masquerade-all", "--proxy-mode", "nftables")
    assert nftables.proxy("IPv4").masquerade_all and not nftables.config.iptables.masquerade_all
    assert not nftables.proxy("IPv4").localhost_nodeports


@pytest.mark.parametrize(("family", "address"), [("IPv4", "172.18.1.11/32"), ("IPv6", "fd00::11/128")])
def test_primary_is_the_nodes_own_first_address(family: Family, address: str) -> None:
    made = settings("--nodeport-addresses=primary")
    addresses = ["172.18.1.11", "172.18.1.12", "fd00::11"]
    assert made.proxy(family, addresses).nodeport_addresses == (address,)


def test_what_is_local_can_be_told_in_four_ways() -> None:
    def local(*words: str) -> tuple[str, str]:
        made = settings("--cluster-cidr=10.244.0.0/16", *words).proxy("IPv4", pod_cidrs=["fd00::/64", "10.244.3.0/24"])
        return made.cluster_cidr, made.local_interface

    assert local() == ("10.244.0.0/16", "")
    assert local("--detect-local-mode=NodeCIDR") == ("10.244.3.0/24", "")
    assert local("--detect-local-mode=BridgeInterface", "--pod-bridge-interface=cni0") == ("", "cni0")
    assert local("--detect-local-mode=InterfaceNamePrefix", "--pod-interface-name-prefix=veth") == ("", "veth+")


def test_a_file_takes_the_place_of_flags_but_for_logging_and_the_nodes_name() -> None:
    file = KubeProxyConfiguration(mode="ipvs", hostname_override="from-file")
    words = "--config=f", "--proxy-mode=nftables", "--cluster-cidr=10.0.0.0/8", "--v=5", "--hostname-override= Node-1 "
    made = settings(*words, file=file).config
    assert (made.mode, made.cluster_cidr, made.logging.verbosity, made.hostname_override) == ("ipvs", "", 5, "node-1")
    assert settings(file=file).config.hostname_override == "from-file"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--proxy-mod=ipvs"], "unknown flag: --proxy-mod"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["--config"], "flag needs an argument: --config"),
        (["ipvs"], '"kube-proxy" does not take any arguments, got ["ipvs"]'),
        (["--profiling=maybe"], f'{BAD}"maybe" for "--profiling" flag: {PARSE}Bool: parsing "maybe": {SYNTAX}'),
        (["--iptables-sync-period=5"], f'{BAD}"5" for "--iptables-sync-period" flag: time: {UNITLESS} "5"'),
        (["--oom-score-adj=many"], f'{BAD}"many" for "--oom-score-adj" flag: {PARSE}Int: parsing "many": {SYNTAX}'),
        (["--hostname-override= "], "failed complete: empty hostname-override is invalid"),
    ],
)  # fmt: skip
def test_wrong_calls(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(words)
    assert refused.value.message == said


def test_a_lab_has_another_least_time_between_syncs() -> None:
    made = resolve(parse([]), KubeProxyConfiguration(), {"min_sync": Duration(0)})
    assert Settings(made).min_sync_period == 0


def test_each_flag_has_one_meaning() -> None:
    names = [*FIELDS, *LOGGING, *OTHERS]
    assert len(names) == len(set(names))
