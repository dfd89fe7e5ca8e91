from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from labkit.control.admission import Admission
from labkit.control.custom.controller import Definitions
from labkit.control.reconcile import Loop
from labkit.control.store import Store

Raw = dict[str, Any]
DATA = Path(__file__).parents[3] / "data" / "crds"


@pytest.fixture
def loop(store: Store) -> Loop:
    return Loop(store, [Definitions(store)], lambda failure: pytest.fail(str(failure)))


@pytest.fixture(scope="session")
def real() -> Callable[[str], Iterator[Raw]]:
    """The definitions of another project, by the first letters of its file."""

    def read(project: str) -> Iterator[Raw]:
        (file,) = DATA.glob(f"{project}-*.yaml.gz")
        for document in yaml.load_all(gzip.decompress(file.read_bytes()), yaml.CSafeLoader):
            if document:
                yield msgspec.json.decode(msgspec.json.encode(document))

    return read


@pytest.fixture
def crd() -> Callable[..., Raw]:
    """A definition of Gadgets whose spec has these properties; further parts of it or its only version as keywords."""

    def made(properties: Raw | None = None, plural: str = "gadgets", kind: str = "Gadget", **parts: Any) -> Raw:
        spec = {"type": "object", "properties": properties or {"size": {"type": "integer"}}}
        spec |= parts.pop("spec_parts", {})
        schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}, **parts.pop("root", {})}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        version |= {"subresources": {"status": {}}, **parts.pop("version", {})}
        group = parts.pop("group", "example.com")
        names = {"kind": kind, "plural": plural, **parts.pop("names", {})}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}", **parts.pop("metadata", {})},
            "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version], **parts},
        }

    return made


@pytest.fixture
def define(admission: Admission, loop: Loop, crd: Callable[..., Raw]) -> Callable[..., Raw]:
    """Create a definition and wait until it is established."""

    def made(*args: Any, **parts: Any) -> Raw:
        created = admission.create(crd(*args, **parts))
        loop.drain()
        return admission.store.get("CustomResourceDefinition", "", created["metadata"]["name"])

    return made


@pytest.fixture
def gadget() -> Callable[..., Raw]:
    def made(name: str = "a", version: str = "v1", **spec: Any) -> Raw:
        metadata = {"name": name, "namespace": "default"}
        return {"apiVersion": f"example.com/{version}", "kind": "Gadget", "metadata": metadata, "spec": spec}

    return made
