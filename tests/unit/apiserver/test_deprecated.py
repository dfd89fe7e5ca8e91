"""Kinds, and versions of custom resources, that are deprecated: every answer says so."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.apiserver.http.messages import Stream
from labkit.control.custom.controller import Definitions
from labkit.control.reconcile import Loop

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SAID = "example.com/v1 Gadget is deprecated"
SCHEMA = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}


def version(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": name == "v2", "schema": SCHEMA, **more}


@pytest.fixture
def gadgets(server: Any) -> Any:
    names = {"plural": "gadgets", "kind": "Gadget"}
    versions = [version("v1", deprecated=True, subresources={"status": {}, "scale": PATHS}), version("v2")]
    spec = {"group": "example.com", "names": names, "scope": "Namespaced", "versions": versions}
    server.make(CRDS, {"metadata": {"name": "gadgets.example.com"}, "spec": spec})
    Loop(server.store, [Definitions(server.store)], lambda failure: pytest.fail(str(failure))).drain()
    return server


PATHS = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def test_every_verb_says_it(gadgets: Any) -> None:
    path = "/apis/example.com/v1/namespaces/default/gadgets"
    body = {"metadata": {"name": "a"}, "spec": {"replicas": 1}}
    merge = {"content-type": "application/merge-patch+json"}
    for method, under, given in (
        ("POST", "", body),
        ("GET", "", None),
        ("GET", "/a", None),
        ("GET", "/a/status", None),
        ("GET", "/a/scale", None),
        ("PATCH", "/a", {"spec": {"replicas": 2}}),
        ("DELETE", "/a", None),
        ("DELETE", "", None),
    ):
        got = gadgets.ask(method, path + under, given, headers=merge if method == "PATCH" else {})
        assert got.status in (200, 201), (method, under, got.body)
        assert got.warnings == (SAID,), (method, under)
    watch = gadgets.reply("GET", path, watch="1")
    assert isinstance(watch, Stream)
    assert watch.headers == (("Warning", f'299 - "{SAID}"'),)


def test_other_versions_do_not(gadgets: Any) -> None:
    assert gadgets.ask("GET", "/apis/example.com/v2/namespaces/default/gadgets").warnings == ()
    watch = gadgets.reply("GET", "/apis/example.com/v2/namespaces/default/gadgets", watch="1")
    assert watch.headers == ()


def test_endpoints_are_deprecated(server: Any) -> None:
    path = "/api/v1/namespaces/default/endpoints"
    said = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    assert server.ask("POST", path, {"metadata": {"name": "a"}}).warnings == (said,)
    assert server.ask("GET", path + "/a").warnings == (said,)
    assert server.reply("GET", path, watch="1").headers == (("Warning", f'299 - "{said}"'),)
    assert server.ask("GET", "/api/v1/namespaces/default/pods").warnings == ()
