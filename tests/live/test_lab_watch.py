"""A live view of a running lab: it follows what comes and goes, and ends with the lab."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from labs import ONCE, wait_until

from labkit import lab
from labkit.errors import ApiError, ManifestError, NotFound

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "tunnels.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Tunnel", "plural": "tunnels", "shortNames": ["tun"]},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                "additionalPrinterColumns": [{"name": "Far", "type": "string", "jsonPath": ".spec.far"}],
            }
        ],
    },
}


def lease(name: str, holder: str) -> dict[str, object]:
    spec = {"holderIdentity": holder}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": spec}


def tunnel(name: str, far: str) -> dict[str, object]:
    return {"apiVersion": "example.com/v1", "kind": "Tunnel", "metadata": {"name": name}, "spec": {"far": far}}


def test_rows_come_change_and_go_until_the_lab_does() -> None:
    before = set(threading.enumerate())
    with lab.start(nodes=1) as k:
        k.apply(lease("a", "x"))
        view = k.watch("leases")
        assert repr(view) == "NAME   HOLDER\na      x"
        k.apply([lease("a", "y"), lease("b", "x")])
        wait_until(lambda: repr(view) == "NAME   HOLDER\na      y\nb      x", 10)
        k.delete("lease/a")
        wait_until(lambda: repr(view) == "NAME   HOLDER\nb      x", 10)
        everywhere = k.watch("pods", None)
        assert "kube-system   coredns-" in repr(everywhere)
        everywhere.close()
        everywhere.close()
        assert not everywhere.live and repr(everywhere).endswith("(no longer followed)")
        assert view.live
        views = [k.watch("ns") for _ in range(10)]
        assert [one.live for one in views] == [False] * 2 + [True] * 8, "the latest live"
        view = k.watch("leases")
    assert not view.live and repr(view) == "NAME   HOLDER\nb      x\n(the lab is closed)"
    assert set(threading.enumerate()) <= before


def test_a_lab_that_is_killed_ends_its_views() -> None:
    with lab.start(nodes=1) as k:
        view = k.watch("nodes")
        os.kill(k.facts["pid"], signal.SIGKILL)
        wait_until(lambda: not view.live, 10)
        assert "node-1" in repr(view) and repr(view).endswith("(the lab has ended)")


@ONCE
def test_custom_kinds_go_by_their_names() -> None:
    with lab.start(nodes=1) as k:
        with pytest.raises(NotFound, match="no resource type"):
            k.get("tunnels")
        k.apply(CRD)
        view = k.watch("tun")
        assert repr(view) == "no tunnels"
        applied = k.apply(tunnel("north", "10.0.0.1"), namespace="kube-system")
        assert applied.to_dict("records") == [
            {"OBJECT": "tunnel.example.com/north", "NAMESPACE": "", "RESULT": "created"}
        ]
        wait_until(lambda: repr(view) == "NAME    FAR\nnorth   10.0.0.1", 10)
        assert k.get("Tunnels").equals(k.table("tunnels.example.com"))
        assert k.get("tunnel/north")["spec"] == {"far": "10.0.0.1"}
        assert k.objects("tun")[0]["metadata"]["name"] == "north"
        k.wait("tunnel/north")
        k.delete("tun/north")
        assert list(k.table("tun").columns) == ["NAME", "FAR"] and k.table("tun").empty


@ONCE
def test_kinds_and_objects_are_told_apart_and_what_is_missing_is_explained(shop: lab.Lab) -> None:
    assert shop.get("services", None).equals(shop.services(None))
    assert shop.get("svc/kubernetes")["spec"]["clusterIP"] == "10.96.0.1"
    with pytest.raises(ApiError, match=r'services "kube-dns" not found. There is one in namespace kube-system'):
        shop.get("svc/kube-dns")
    with pytest.raises(ApiError, match=r'nodes "node-9" not found. Did you mean "node-[123]"'):
        shop.delete("node/node-9")
    with pytest.raises(NotFound, match=r'"svcs". Did you mean "svc"\? For one object, write kind/name'):
        shop.get("svcs")


@ONCE
def test_apply_on_the_server_says_so() -> None:
    with lab.start(nodes=1) as k:
        assert list(k.apply(lease("a", "x")).RESULT) == ["created"]
        assert list(k.apply(lease("a", "y"), server_side=True).RESULT) == ["serverside-applied"]
        assert k.get("lease/a")["spec"]["holderIdentity"] == "y"
        with pytest.raises(ManifestError, match=r"object has been modified.*Leave metadata.resourceVersion out"):
            k.apply({**lease("a", "y"), "metadata": {"name": "a", "resourceVersion": "1"}}, server_side=True)
