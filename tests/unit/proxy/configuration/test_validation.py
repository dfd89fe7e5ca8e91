"""Faults of a configuration in kube-proxy's words: the expectations of its own tests, and those a learner meets."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.configuration.defaults import completed, platform
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.text import convert
from labkit.proxy.configuration.validation import validate

K = "KubeProxyConfiguration"
CASES = json.loads((Path(__file__).parents[3] / "data" / "kube_proxy_faults.json").read_text())


def faults(**values: object) -> list[str]:
    config, unknown = convert(values)
    assert not unknown
    return validate(platform(completed(config)))


def test_the_defaults_are_right() -> None:
    assert validate(platform(completed(KubeProxyConfiguration()))) == []


@pytest.mark.parametrize(("values", "said"), CASES)
def test_each_fault_is_said_in_its_words(values: dict[str, object], said: list[str]) -> None:
    assert faults(**values) == [f"{K}.{text}" for text in said]


def test_modes_of_the_lab_are_right_where_it_says_so() -> None:
    config = platform(completed(KubeProxyConfiguration(mode="ebpf")))
    assert validate(config, ["ebpf"]) == []
    assert len(validate(config)) == 1


@given(st.text(), st.text(), st.lists(st.text(), max_size=3), st.text())
def test_no_text_ends_it_badly(bind: str, port: str, ranges: list[str], cidr: str) -> None:
    values = {"bindAddress": bind, "portRange": port, "nodePortAddresses": ranges, "clusterCIDR": cidr}
    assert all(fault.startswith(f"{K}.") for fault in faults(metricsBindAddress=bind, **values))
