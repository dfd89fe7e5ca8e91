"""Labs that are kept: they come back with what was acknowledged, whatever ended them, and the host stays fenced."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from labs import ONCE, SHOP, SHOP_SERVICES, errors, pod_names

from labkit import lab
from labkit.errors import LabError, StateError
from labkit.lab import Lab
from labkit.sandbox import state

ADMIN = "kubernetes-admin"
ROBOT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
ROBOTS_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "type": "kubernetes.io/service-account-token",
    "metadata": {"name": "robot", "annotations": {"kubernetes.io/service-account.name": "robot"}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a lab called "kept" has its state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "labkit" / "kept"


def start(nodes: int = 2) -> Lab:
    return lab.start(nodes=nodes, name="kept", keep=True)


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No lab is left, whatever a test did."""
    yield
    for running in list(lab.starting._open.values()):
        running.close()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def identities(k: Lab) -> dict[tuple[str, str], tuple[str, Any]]:
    """uid and spec of what a learner made, by kind and name."""
    found = [o for kind in ("Service", "Deployment", "ReplicaSet") for o in k.objects(kind, "shop")]
    return {(o["kind"], o["metadata"]["name"]): (o["metadata"]["uid"], o["spec"]) for o in found}


def answers(k: Lab) -> None:
    for service, port in SHOP_SERVICES:
        assert errors(k.pod("client", "shop").get(f"http://{service}:{port}", n=10)) == []


def test_the_shop_comes_back_and_serves() -> None:
    k = start()
    k.apply(SHOP)
    k.apply(config_map("gone"))
    k.wait()
    k.delete("configmap/gone")
    k.scale("deployment/web", 4, "shop")
    before, pods = identities(k), pod_names(k, "shop/")
    k.close()
    k = start()
    k.wait()
    assert identities(k) == before
    assert pod_names(k, "shop/") == pods
    assert _stored(k, "gone") is None
    answers(k)


@ONCE
def test_the_proxies_go_by_the_config_map_that_is_there() -> None:
    with lab.start(nodes=1, name="kept", keep=True, proxy_config={"iptables": {"masqueradeBit": 3}}):
        pass
    with start(1) as k:
        assert "0x8/0x8" in k.node("node-1").run("iptables-save -t nat", check=True).stdout
    with lab.start(nodes=1, name="kept", keep=True, proxy_mode="iptables") as k:
        assert "0x4000/0x4000" in k.node("node-1").run("iptables-save -t nat", check=True).stdout, "asked for anew"


@ONCE
def test_pods_of_a_node_that_is_no_more_are_made_anew_elsewhere() -> None:
    k = start(nodes=2)
    k.apply(SHOP)
    k.wait()
    assert set(k.pods("shop")["NODE"]) == {"node-1", "node-2"}
    k.close()
    k = start(nodes=1)
    k.wait()
    pods = k.pods("shop")
    assert set(pods["NODE"]) == {"node-1"}
    assert sum(pods["NAME"].str.startswith("web-")) == 3
    assert list(k.nodes()["NAME"]) == ["node-1"]


def test_no_acknowledged_write_is_lost_by_sigkill() -> None:
    """The lab is killed at random moments of its life while somebody writes and deletes all the time."""
    chance = random.Random(7)
    acknowledged: dict[str, dict[str, Any] | None] = {}
    version = 0
    for round_number in range(3):
        k = start(nodes=1)
        for name, raw in acknowledged.items():
            assert _stored(k, name) == raw, name
        newest = max(int(o["metadata"]["resourceVersion"]) for o in k.objects("ConfigMap", None))
        assert newest >= version
        killer = threading.Timer(chance.uniform(0, 0.1), os.kill, (k.facts["pid"], signal.SIGKILL))
        unsure = _write(k, acknowledged, f"r{round_number}", chance.randint(2, 9), killer)
        killer.join()
        for name in unsure:  # it may have been made, or not; but it is whole
            acknowledged.pop(name, None)
        version = max(int(o["metadata"]["resourceVersion"]) for o in acknowledged.values() if o)
    assert len(acknowledged) > 10


def _write(
    k: Lab, acknowledged: dict[str, dict[str, Any] | None], prefix: str, pairs: int, killer: threading.Timer
) -> list[str]:
    """Write pairs, change and delete, until the lab is gone; returns the names of what was under way then.

    The killer is let loose after so many pairs.
    """
    names: list[str] = []
    with suppress(LabError):
        for number in range(10_000):
            if number == pairs:
                killer.start()
            names = [f"{prefix}-{number}-a", f"{prefix}-{number}-b"]
            k.apply([config_map(name, x="x" * 500) for name in names])
            acknowledged |= {name: k.get(f"configmap/{name}") for name in names}
            names = names[:1]
            k.apply(config_map(names[0], x="changed"))
            acknowledged |= {name: k.get(f"configmap/{name}") for name in names}
            if number % 3 == 0:
                k.delete(f"configmap/{names[0]}")
                acknowledged |= dict.fromkeys(names)
    return names


def _stored(k: Lab, name: str) -> dict[str, Any] | None:
    return next((o for o in k.objects("ConfigMap") if o["metadata"]["name"] == name), None)


def test_a_state_is_for_one_lab_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(nodes=1).close()
    fd = state.hold(str(folder))
    try:
        with pytest.raises(StateError, match="another lab has it"):
            start(nodes=1)
    finally:
        os.close(fd)
    start(nodes=1).close()


@pytest.mark.parametrize("content", [b"Dear diary, " * 500, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_state_is_refused_and_kept(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    file = folder / "state.db"
    file.write_bytes(content)
    with pytest.raises(StateError, match="Move it away, or give the lab another name"):
        start(nodes=1)
    assert file.read_bytes() == content


def test_the_rest_of_the_host_stays_as_it_was(folder: Path) -> None:
    k = start(nodes=1)
    outside = [folder.parent / "x", folder.parents[1] / "x", Path(__file__).with_name("x"), Path("/x")]
    for path in outside:
        assert k.node("node-1").run(["touch", str(path)]).code, path
    assert not any(path.exists() for path in outside)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@ONCE
def test_credentials_of_an_earlier_life_are_good_again(folder: Path, tmp_path: Path) -> None:
    k = start(nodes=1)
    k.apply([ROBOT, ROBOTS_SECRET])
    copy = tmp_path / "kubeconfig"
    copy.write_bytes(k.kubeconfig.read_bytes())
    whole = k.kubectl("get secret robot -o jsonpath={.data.token}").stdout
    tokens = [base64.b64decode(whole).decode(), k.kubectl("create token robot").stdout.strip()]
    k.close()
    k = start(nodes=1)
    port = re.search(r"server: (\S+)", k.kubeconfig.read_text())
    assert port
    there = ["--kubeconfig", str(copy), "--server", port[1]]
    assert k.kubectl(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", *there]).stdout == ADMIN
    for token in tokens:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        said = k.kubectl(["create", "-f", "-", "-o", "json", *there], stdin=json.dumps(review)).stdout
        assert json.loads(said)["status"]["user"]["username"] == "system:serviceaccount:default:robot"
    assert {file.name for file in folder.iterdir()} >= {"ca.key", "ca.crt", "sa.key"}
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}


@ONCE
def test_a_key_that_is_none_is_said_to_whoever_needs_it(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "sa.key").write_text("Dear diary")
    k = start(nodes=1)
    with pytest.raises(StateError, match=r"sa\.key cannot be used: .* Put it back"):
        _ = k.kubeconfig
    assert (folder / "sa.key").read_text() == "Dear diary"


def test_without_keep_nothing_is_written(folder: Path) -> None:
    with lab.start(nodes=1, name="kept") as k:
        assert k.node("node-1").run("ls /run/labkit/state").code
    assert not folder.exists()
