"""The configuration file, read as kube-proxy reads it and written as it writes it."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.configuration.defaults import completed
from labkit.proxy.configuration.fields import IPVS, IPTables, KubeProxyConfiguration
from labkit.proxy.configuration.text import ConfigError, builtins, lenient, read, strict, values, written

HEAD = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"


def test_every_field_is_written_and_read_again() -> None:
    config, complaints = read(written(completed(KubeProxyConfiguration())))
    assert complaints == []
    assert config == completed(KubeProxyConfiguration())
    told = builtins(config)
    assert list(told) == sorted(told)
    assert told["conntrack"]["tcpEstablishedTimeout"] == "24h0m0s"
    assert told["iptables"] == {
        "localhostNodePorts": True, "masqueradeAll": False, "masqueradeBit": 14, "minSyncPeriod": "1s",
        "syncPeriod": "30s",
    }  # fmt: skip
    assert told["clientConnection"]["qps"] == 5
    assert (told["healthzBindAddress"], told["metricsBindAddress"]) == ("0.0.0.0:10256", "127.0.0.1:10249")
    assert "featureGates" not in told


def test_what_is_empty_is_written_as_kubeadm_writes_it() -> None:
    told = yaml.safe_load(written(KubeProxyConfiguration()))
    assert told["iptables"] == {
        "localhostNodePorts": None, "masqueradeAll": False, "masqueradeBit": None, "minSyncPeriod": "0s",
        "syncPeriod": "0s",
    }  # fmt: skip
    assert told["logging"] == {
        "flushFrequency": 0, "verbosity": 0,
        "options": {"json": {"infoBufferSize": "0"}, "text": {"infoBufferSize": "0"}},
    }  # fmt: skip
    assert told["nodePortAddresses"] is None


def test_addresses_of_ipv6() -> None:
    made = completed(KubeProxyConfiguration(bind_address="::", healthz_bind_address="fd00::1"))
    assert (made.healthz_bind_address, made.metrics_bind_address) == ("[fd00::1]:10256", "[::1]:10249")


def test_what_nobody_knows_is_named_and_left_out() -> None:
    text = f"{HEAD}mode: ipvs\nipvs: {{scheduler: rr, sheduler: wrr}}\nclusterCidr: 10.0.0.0/8\nmode: nftables\n"
    config, complaints = read(text)
    assert (config.mode, config.ipvs, config.cluster_cidr) == ("ipvs", IPVS(scheduler="rr"), "")
    assert strict(complaints) == (
        'strict decoding error: line 6: key "mode" already set in map, unknown field "ipvs.sheduler", '
        'unknown field "clusterCidr"'
    )
    kept = yaml.safe_load(written(config, values(text)[0]))
    assert (kept["ipvs"]["sheduler"], kept["clusterCidr"]) == ("wrr", "10.0.0.0/8")
    _, again = read(yaml.safe_dump(kept))
    assert set(again) == {'unknown field "ipvs.sheduler"', 'unknown field "clusterCidr"'}
    assert lenient(again)[1:3] == ("options.go:541", "Using lenient decoding as strict decoding failed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "failed to decode: the file is empty"),
        ("[1]", "json: cannot unmarshal array into Go value of type struct"),
        ("mode: ipvs", "failed to decode: Object 'Kind' is missing"),
        ("kind: KubeProxyConfiguration", "failed to decode: Object 'apiVersion' is missing"),
        (HEAD.replace("v1alpha1", "v1beta9"), 'is registered for version "kubeproxy.config.k8s.io/v1beta9"'),
        (HEAD.replace("KubeProxy", "Kubelet"), 'no kind "KubeletConfiguration" is registered'),
        (f"{HEAD}mode: 5", "cannot unmarshal number into Go struct field KubeProxyConfiguration.mode of type string"),
        (
            f"{HEAD}iptables: {{masqueradeBit: many}}",
            "cannot unmarshal string into Go struct field KubeProxyConfiguration.iptables.masqueradeBit of type int32",
        ),
        (f"{HEAD}iptables: {{syncPeriod: 30}}", "cannot unmarshal number into Go value of type string"),
        (f"{HEAD}ipvs: {{tcpTimeout: 5 s}}", 'time: unknown unit " s" in duration "5 s"'),
        (f"{HEAD}nodePortAddresses: primary", "KubeProxyConfiguration.nodePortAddresses of type []string"),
        ("a: [", "error parsing YAML"),
    ],
)
def test_what_cannot_be_decoded_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert said in refused.value.message


def test_null_says_nothing() -> None:
    config, _ = read(f"{HEAD}iptables: null\nconntrack: {{min: null}}\nmode: null\n")
    assert config == KubeProxyConfiguration()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(builtins(completed(KubeProxyConfiguration(feature_gates={"A": True})))))


@given(st.dictionaries(NAMES, JSON))
def test_any_value_is_read_or_refused(values: dict[str, Any]) -> None:
    values |= {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration"}
    try:
        config, _ = read(yaml.safe_dump(values))
    except ConfigError as refused:
        assert refused.message.startswith("failed to decode: ")
    else:
        assert isinstance(config.iptables, IPTables)
        assert read(written(config))[0] == config
