"""Custom kinds and their objects in a store that is kept."""

from __future__ import annotations

import pytest

from labkit.control.admission import Admission
from labkit.control.custom.controller import Definitions
from labkit.control.keep import Keep
from labkit.control.namespaces import create_initial
from labkit.control.reconcile import Loop
from labkit.control.store import Store
from labkit.errors import ApiError


def opened(path) -> tuple[Admission, Loop, Keep]:
    store, keep = Store(seed=1), Keep(path)
    store.restore(keep)
    admission = Admission(store)
    loop = Loop(store, [Definitions(store)], lambda failure: pytest.fail(str(failure)))
    create_initial(admission)
    loop.drain()
    return admission, loop, keep


def test_they_come_back_and_go_on(tmp_path, crd):
    path = tmp_path / "state.db"
    gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "a", "namespace": "default"}}
    admission, loop, keep = opened(path)
    admission.create(crd())
    loop.drain()
    made = admission.create({**gadget, "spec": {"size": 1}})
    keep.close()
    admission, _, keep = opened(path)
    assert admission.store.list("Gadget.example.com") == (made,)
    assert admission.store.catalogue.served("example.com/v1", "gadgets") is not None
    changed = admission.replace({**made, "spec": {"size": 2}})
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    with pytest.raises(ApiError, match="size"):
        admission.replace({**made, "metadata": gadget["metadata"], "spec": {"size": "big"}})
    keep.close()
