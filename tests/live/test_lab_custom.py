"""Kinds of other projects in a running lab: their own definitions, their objects, what goes with them."""

import gzip

import pytest
import yaml
from labs import ROOT

from labkit import lab
from labkit.errors import ApiError, ManifestError

CRDS = ROOT / "tests/data/crds/gateway-api-v1.4.1.yaml.gz"
GATEWAY = "gateway.networking.k8s.io/v1"


def route(name, **backend):
    rules = [{"backendRefs": [{"name": "web", **backend}]}]
    return {"apiVersion": GATEWAY, "kind": "HTTPRoute", "metadata": {"name": name}, "spec": {"rules": rules}}


def test_gateway_api_and_a_quota() -> None:
    with lab.start(nodes=1) as k:
        with pytest.raises((ApiError, ManifestError), match="no matches for kind"):
            k.apply(route("early", port=80))
        k.apply([crd for crd in yaml.load_all(gzip.decompress(CRDS.read_bytes()), yaml.CSafeLoader) if crd])
        made = k.apply([route("shop", port=80), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}])
        assert list(made["RESULT"]) == ["created", "created"]
        with pytest.raises(ManifestError, match="Must have port for Service reference"):
            k.apply(route("bad"))
        k.apply(route("other", port=80), namespace="b")
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "b"}}
        k.apply({**quota, "spec": {"hard": {"count/httproutes.gateway.networking.k8s.io": 1, "pods": 0}}})
        with pytest.raises(ManifestError, match=r"exceeded quota: q, requested: count/httproutes"):
            k.apply(route("more", port=80), namespace="b")
