"""The store under any sequence of operations."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.control.store import Store
from labkit.errors import ApiError

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete", "fail"]), st.sampled_from("abc"), st.integers(0, 2)),
    max_size=30,
)


@given(OPERATIONS)
@settings(max_examples=150, deadline=None)
def test_a_watcher_can_rebuild_the_store(operations):
    """Applying the events to an empty dict gives the store's content; versions only rise; indexes agree."""
    store = Store()
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    mirror, versions = {}, []
    store.add_index("value", lambda raw: [raw.get("data", {}).get("value", "")])

    def hear(event):
        name = event.object["metadata"]["name"]
        versions.append(int(event.object["metadata"]["resourceVersion"]))
        assert (event.old is None) == (event.type == "ADDED")
        assert event.old == mirror.get(name)
        if event.type == "DELETED":
            del mirror[name]
        else:
            mirror[name] = event.object

    store.watch({"ConfigMap"}, hear)
    for operation, name, value in operations:
        data = {"value": str(value)}
        raw = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default"},
            "data": data,
        }
        try:
            with store.transaction():
                if operation == "create":
                    store.create(raw)
                elif operation == "delete":
                    store.delete("ConfigMap", "default", name)
                else:
                    store.replace(raw)
                if operation == "fail":
                    raise ApiError("no")
        except ApiError:
            pass
        snapshot = msgspec.json.encode(sorted(mirror.items()))
        assert snapshot == msgspec.json.encode([(r["metadata"]["name"], r) for r in store.list("ConfigMap")])
        for wanted in "012":
            found = {raw["metadata"]["name"] for raw in store.indexed("value", wanted)}
            assert found == {name for name, raw in mirror.items() if raw["data"]["value"] == wanted}
    assert versions == sorted(set(versions))
