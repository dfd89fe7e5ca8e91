"""What is told of changes: everything once, nothing that is not asked for, and all of it after a gap."""

from __future__ import annotations

import asyncio

import pytest

from labkit.cluster.looking import Looking
from labkit.control.admission import Admission
from labkit.control.history import LENGTH
from labkit.control.namespaces import create_initial
from labkit.control.store import Store
from labkit.errors import NotFound


def config(name, namespace="default", **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


@pytest.fixture
def admission():
    made = Admission(Store(0))
    create_initial(made)
    return made


def names(told):
    return [raw["metadata"]["name"] for raw in told["objects"]]


def test_changes_are_told_once_and_waited_for(admission):
    looking, store = Looking(admission), admission.store

    async def changes():
        admission.create(config("a", x="1"))
        first = await looking.changes("ConfigMap", "default", 0)
        assert (names(first), first["gone"], first["whole"]) == (["a"], [], True)
        asked = asyncio.create_task(looking.changes("ConfigMap", "default", first["version"]))
        admission.create(config("other", "kube-system"))
        await asyncio.sleep(0)
        assert not asked.done()
        b = admission.create(config("b"))
        admission.replace({**b, "data": {"y": "2"}})
        store.delete("ConfigMap", "default", "a")
        second = await asked
        assert names(second) == ["b"] and second["objects"][0]["data"] == {"y": "2"}
        assert (second["gone"], second["whole"]) == ([("default", "a")], False)
        everywhere = await looking.changes("ConfigMap", None, first["version"])
        assert sorted(names(everywhere)) == ["b", "other"]
        waiting = asyncio.create_task(looking.changes("ConfigMap", "default", second["version"]))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(changes())


def test_who_asks_too_late_is_told_everything(admission):
    looking = Looking(admission)

    async def changes():
        last = admission.create(config("a"))
        version = int(last["metadata"]["resourceVersion"])
        for n in range(LENGTH + 1):
            last = admission.replace({**last, "data": {"n": str(n)}})
        told = await looking.changes("ConfigMap", "default", version)
        assert (names(told), told["whole"]) == (["a"], True)

    asyncio.run(changes())


def test_a_kind_is_found_by_what_people_call_it(admission):
    looking = Looking(admission)
    assert looking.resource("deploy") == looking.resource("Deployments.apps")
    assert looking.resource("deploy")["resource"]["kind"] == "Deployment"
    with pytest.raises(NotFound, match='Did you mean "deployments"'):
        looking.resource("deploymnts")
