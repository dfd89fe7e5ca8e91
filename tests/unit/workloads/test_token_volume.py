"""Which pods get the volume with the token of their ServiceAccount, and what is in it."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.control.store import Store
from labkit.workloads.token_volume import PATH, add, wanted


def test_every_container_that_mounts_nothing_there() -> None:
    own = {"name": "mine", "mountPath": PATH}
    spec: dict[str, Any] = {
        "initContainers": [{"name": "i"}],
        "containers": [{"name": "a", "volumeMounts": [own]}, {"name": "b"}],
        "volumes": [{"name": "mine", "emptyDir": {}}],
    }
    add(spec, "shop", Store())
    mine, added = spec["volumes"]
    assert mine["name"] == "mine" and added["name"].startswith("kube-api-access-")
    mount = {"name": added["name"], "readOnly": True, "mountPath": PATH}
    assert spec["initContainers"][0]["volumeMounts"] == [mount]
    assert [c["volumeMounts"] for c in spec["containers"]] == [[own], [mount]]
    assert [next(iter(s)) for s in added["projected"]["sources"]] == ["serviceAccountToken", "configMap", "downwardAPI"]


def test_no_volume_that_nobody_mounts() -> None:
    spec: dict[str, Any] = {"containers": [{"name": "a", "volumeMounts": [{"name": "x", "mountPath": PATH}]}]}
    add(spec, "shop", Store())
    assert "volumes" not in spec


@pytest.mark.parametrize(
    ("pod", "account", "expected"),
    [(None, None, True), (None, False, False), (True, False, True), (False, None, False), (False, True, False)],
)
def test_who_may_refuse(pod: bool | None, account: bool | None, expected: bool) -> None:
    spec = {} if pod is None else {"automountServiceAccountToken": pod}
    owner = {} if account is None else {"automountServiceAccountToken": account}
    assert wanted(spec, owner) is expected
    assert wanted(spec, None) is (pod is not False)
