"""Where a kube-proxy finds the API server, and as whom it comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from labkit.proxy.addon import kubeconfig
from labkit.proxy.client.kubeconfig import KubeconfigError, load


def written(folder: Path, **parts: Any) -> str:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "http://172.18.1.11:8080"}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        **parts,
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_plain(tmp_path: Path) -> None:
    found = load(written(tmp_path))
    assert (found.host, found.port, found.tls, found.bearer()) == ("172.18.1.11", 8080, None, "secret")
    assert load(written(tmp_path), "http://10.0.0.1").host == "10.0.0.1"


def test_a_token_file_is_read_each_time_without_its_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    found = load(written(tmp_path, users=[{"name": "u", "user": {"tokenFile": "token"}}]))
    assert found.bearer() == "one"
    (tmp_path / "token").write_text("two")
    assert found.bearer() == "two"


def test_kubeadms_needs_the_authoritys_certificate(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig.conf"
    path.write_text(kubeconfig("https://172.18.1.11:6443", str(tmp_path)))
    with pytest.raises(KubeconfigError, match=r"invalid configuration: .*No such file"):
        load(str(path))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"current-context": "other"}, "no configuration has been provided"),
        ({"clusters": "x"}, "no configuration has been provided"),
        ({"clusters": [{"name": "k", "cluster": {"server": "https://a", "certificate-authority-data": "?"}}]}, "data"),
        (
            {"clusters": [{"name": "k", "cluster": {"server": "https://a", "certificate-authority-data": "eHg="}}]},
            "invalid configuration: ",
        ),
    ],
)
def test_what_leads_nowhere(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    with pytest.raises(KubeconfigError, match=said):
        load(written(tmp_path, **parts))


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "kubeconfig"
    path.write_bytes(content)
    with pytest.raises(KubeconfigError):
        load(str(path))
