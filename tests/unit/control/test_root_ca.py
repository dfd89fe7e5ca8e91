"""Every namespace has the certificate, once it is known."""

from __future__ import annotations

from typing import Any

from labkit.control.reconcile import Failure, Loop
from labkit.control.root_ca import NAME, RootCertificates
from labkit.control.store import Store


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def test_the_certificate_is_kept_in_every_namespace() -> None:
    store = Store()
    store.create(namespace("before"))
    failures: list[Failure] = []
    certificates = RootCertificates(store)
    loop = Loop(store, [certificates], failures.append)
    loop.drain()
    assert store.list("ConfigMap") == ()
    certificates.publish("PEM")
    store.create(namespace("after"))
    loop.drain()
    for name in ("before", "after"):
        assert store.get("ConfigMap", name, NAME)["data"] == {"ca.crt": "PEM"}

    def spoil(raw: dict[str, Any]) -> None:
        raw["data"] = {"ca.crt": "other"}

    store.update("ConfigMap", "before", NAME, spoil)
    store.delete("ConfigMap", "after", NAME)
    loop.drain()
    assert [c["data"]["ca.crt"] for c in store.list("ConfigMap")] == ["PEM", "PEM"]
    assert failures == []
    store.delete("Namespace", "", "after")
    store.delete("ConfigMap", "after", NAME)
    loop.drain()
    assert store.find("ConfigMap", "after", NAME) is None
