"""What `start` is told of kube-proxy."""

from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LabError
from labkit.lab.proxying import configuration

TEXT = """
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: userspace
iptables: {minSyncPeriod: 2s}
"""


def test_a_mode_a_dict_a_file_or_a_text(tmp_path: Path) -> None:
    assert configuration("", None) == {}
    assert configuration("userspace", None) == {"mode": "userspace"}
    made = configuration("", {"iptables": {"masqueradeAll": True}})
    assert (made["mode"], made["iptables"]["masqueradeAll"]) == ("", True)
    path = tmp_path / "config.conf"
    path.write_text(TEXT)
    for given in (TEXT, str(path), path):
        made = configuration("userspace", given)
        assert (made["mode"], made["iptables"]["minSyncPeriod"]) == ("userspace", "2s")


def test_fields_that_nobody_knows_are_warned_of_and_kept() -> None:
    text = f"{TEXT}ipvs: {{sheduler: wrr}}\nmode: userspace\n"
    with pytest.warns(UserWarning) as warned:
        made = configuration("", text)
    (said,) = [str(w.message) for w in warned]
    assert said == (
        'proxy_config: strict decoding error: line 7: key "mode" already set in map, unknown field "ipvs.sheduler"'
    )
    assert (made["ipvs"]["sheduler"], made["ipvs"]["scheduler"]) == ("wrr", "")
    with pytest.warns(UserWarning, match='unknown field "iptable"'):
        assert configuration("", {"iptable": {}})["iptable"] == {}


@pytest.mark.parametrize(
    ("mode", "config", "said"),
    [
        ("", {"mode": 5}, "cannot unmarshal number into Go struct field KubeProxyConfiguration.mode of type string"),
        ("", {"iptables": {"masqueradeBit": 99}}, "MasqueradeBit: Invalid value: 99: must be within the range [0, 31]"),
        ("userspace", {"mode": "iptables"}, "proxy_mode is 'userspace', and proxy_config says 'iptables'"),
        ("", "/nowhere/at/all", "proxy_config: cannot read /nowhere/at/all: No such file or directory"),
        ("", "kind: Pod\n", "Object 'apiVersion' is missing"),
    ],
)
def test_what_makes_no_sense(mode: str, config: Any, said: str) -> None:
    with pytest.raises(LabError) as refused:
        configuration(mode, config)
    assert said in refused.value.message
