from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from labkit.control.admission import Admission
from labkit.control.namespaces import create_initial
from labkit.control.store import Store

Raw = dict[str, Any]


@pytest.fixture
def store() -> Store:
    """A store with the initial namespaces, at a fixed time."""
    made = Store(seed=1, now=lambda: datetime(2025, 1, 31, 12, 0, tzinfo=UTC))
    create_initial(Admission(made))
    return made


@pytest.fixture
def admission(store: Store) -> Admission:
    return Admission(store)


@pytest.fixture
def events(store: Store) -> Iterator[list[tuple[str, str]]]:
    """What a watcher of everything hears from now on: (type, kind/name)."""
    heard: list[tuple[str, str]] = []
    watch = store.watch(
        None, lambda e: heard.append((e.type, f"{e.object['kind']}/{e.object['metadata']['name']}")), initial=False
    )
    yield heard
    watch.stop()


@pytest.fixture
def make() -> Callable[..., Raw]:
    """An object of a kind with a name; further parts as keywords."""

    def made(kind: str, name: str, namespace: str = "default", version: str = "v1", **parts: Any) -> Raw:
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **parts.pop("metadata", {})}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}

    return made
