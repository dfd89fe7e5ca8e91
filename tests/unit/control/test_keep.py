"""The kept state: what was acknowledged comes back, whatever ended the process; foreign files are left alone."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.control.chance import Chance
from labkit.control.keep import Keep
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.errors import ApiError, StateError


def opened(path: Path) -> tuple[Store, Keep]:
    store, keep = Store(seed=1), Keep(path)
    store.restore(keep)
    return store, keep


def config_map(name: str = "", **data: str):
    metadata = {"name": name} if name else {"generateName": "c-"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "namespace": "n"}, "data": data}


def namespace(store: Store) -> None:
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.db"


def test_everything_comes_back_as_it_was(path):
    store, keep = opened(path)
    assert keep.empty
    namespace(store)
    one = store.create(config_map("one", a="1"))
    two = store.create(config_map("two"))
    changed = store.update("ConfigMap", "n", "one", lambda raw: raw["data"].update(a="2"))
    store.delete("ConfigMap", "n", "two")
    version = store.version
    keep.close()
    again, keep = opened(path)
    assert not keep.empty
    assert again.list("ConfigMap") == (changed,)
    assert again.version == version
    assert again.indexed("namespace", "n") == (changed,)
    three = again.create(config_map("two"))
    assert int(three["metadata"]["resourceVersion"]) > int(version)
    assert three["metadata"]["uid"] not in (one["metadata"]["uid"], two["metadata"]["uid"])
    assert again.created(three) > again.created(changed)
    keep.close()


def test_generated_names_do_not_come_again(path):
    names = []
    for _ in range(3):
        store, keep = opened(path)
        if not store.find("Namespace", "", "n"):
            namespace(store)
        made = store.create(config_map())["metadata"]["name"]
        store.delete("ConfigMap", "n", made)
        names.append(made)
        keep.close()
    assert len(set(names)) == 3


def test_a_transaction_is_kept_as_a_whole_or_not_at_all(path):
    store, keep = opened(path)
    namespace(store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.create(config_map("lost"))
        raise ZeroDivisionError
    with store.transaction():
        store.create(config_map("a"))
        store.create(config_map("b"))
        store.delete("ConfigMap", "n", "a")
    keep.close()
    again, keep = opened(path)
    assert [raw["metadata"]["name"] for raw in again.list("ConfigMap")] == ["b"]
    keep.close()


def test_half_of_a_write_is_not_kept(path):
    """The second name is none that SQLite takes; the store's own are all of UTF-8."""
    _, keep = opened(path)
    keys = [("ConfigMap", "n", "good"), ("ConfigMap", "n", "\ud800")]
    journal = [(key, None, Event("ADDED", config_map())) for key in keys]
    created = dict.fromkeys(keys, 1)
    with pytest.raises(UnicodeEncodeError):
        keep.write(journal, 9, created, lambda raw: b"{}", Chance(1))
    assert (list(keep.objects()), keep.version) == ([], 0)
    keep.write(journal[:1], 9, created, lambda raw: b"{}", Chance(1))
    assert (list(keep.objects()), keep.version) == ([(keys[0], 1, {})], 9)
    keep.close()


def test_watches_of_an_earlier_process_have_expired(path):
    store, keep = opened(path)
    namespace(store)
    store.create(config_map("a"))
    keep.close()
    again, keep = opened(path)
    with pytest.raises(ApiError) as caught:
        again.history.since("ConfigMap", 1)
    assert caught.value.details["status"]["code"] == 410
    assert again.history.since("ConfigMap", int(again.version)) == []
    keep.close()


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete", "reopen"]), st.sampled_from("abc"), st.integers(0, 9)),
    max_size=30,
)


@given(ACTIONS)
def test_a_store_that_is_reopened_goes_on_as_one_that_is_not(tmp_path_factory, actions):
    path = tmp_path_factory.mktemp("state") / "state.db"
    plain = Store(seed=1)
    kept, keep = opened(path)
    at = plain.now()
    for store in (plain, kept):
        store.now = lambda: at
        namespace(store)
    for action, name, number in actions:
        if action == "reopen":
            keep.close()
            kept, keep = opened(path)
            kept.now = lambda: at
            continue
        for store in (plain, kept):
            exists = store.find("ConfigMap", "n", name) is not None
            if action == "create" and not exists:
                store.create(config_map(name, x=str(number)))
            elif action == "update" and exists:
                store.update("ConfigMap", "n", name, lambda raw, n=number: raw["data"].update(x=str(n)))
            elif action == "delete" and exists:
                store.delete("ConfigMap", "n", name)
    assert kept.list("ConfigMap") == plain.list("ConfigMap")
    assert kept.version == plain.version
    keep.close()


def test_a_write_that_the_file_does_not_take_is_not_made(path):
    store, keep = opened(path)
    namespace(store)
    first = store.create(config_map("a", x="1"))
    heard = []
    store.watch(["ConfigMap"], heard.append, initial=False)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.with_name("state.db-wal").stat().st_size, limits[1]))
    try:
        for write in (
            lambda: store.create(config_map("b", x="x" * 100_000)),
            lambda: store.update("ConfigMap", "n", "a", lambda raw: raw["data"].update(x="x" * 100_000)),
            lambda: store.delete("ConfigMap", "n", "a"),
        ):
            with pytest.raises(ApiError, match="took no write") as caught:
                write()
            assert caught.value.details["status"]["code"] == 500
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.list("ConfigMap") == (first,)
    assert heard == []
    store.create(config_map("c"))
    keep.close()
    again, keep = opened(path)
    assert [raw["metadata"]["name"] for raw in again.list("ConfigMap")] == ["a", "c"]
    keep.close()


def test_one_lab_at_a_time(path):
    _, keep = opened(path)
    with pytest.raises(StateError, match="another lab has it open"):
        Keep(path)
    keep.close()
    Keep(path).close()


def foreign_database(path):
    db = sqlite3.connect(path)
    db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    db.close()


def later_format(path):
    Keep(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def damaged(path):
    store, keep = opened(path)
    namespace(store)
    for number in range(200):
        store.create(config_map(f"c{number}", x="x" * 300))
    keep.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_text("Dear diary, " * 1000), "is not the state of a lab"),
        (foreign_database, "is a database, but not the state of a lab"),
        (later_format, "was written by a later labkit"),
        (damaged, "is damaged"),
    ],
)
def test_what_is_no_state_is_refused_and_left_as_it_is(path, spoil, why):
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StateError, match=why):
        Keep(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises((StateError, OSError)):
        Keep(tmp_path / "nowhere" / "state.db")


def test_an_empty_file_is_a_new_state(path):
    path.touch()
    store, keep = opened(path)
    namespace(store)
    keep.close()


WRITER = """
import sys, json
from pathlib import Path
from labkit.control.chance import Chance
from labkit.control.keep import Keep
from labkit.control.store import Store
store = Store(seed=1)
store.restore(Keep(Path(sys.argv[1])))
if not store.find("Namespace", "", "n"):
    store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
def tell(*said):
    sys.stdout.write(json.dumps(said) + "\\n")
    sys.stdout.flush()
while True:
    raw = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-", "namespace": "n"}}
    with store.transaction():
        made = [store.create({**raw, "data": {"x": "y" * 2000}}) for _ in range(2)]
    tell("put", *made)
    changed = store.update("ConfigMap", "n", made[0]["metadata"]["name"], lambda raw: raw["data"].update(x="z"))
    tell("put", changed)
    if int(store.version) % 3 == 0:
        store.delete("ConfigMap", "n", made[1]["metadata"]["name"])
        tell("gone", made[1])
"""


def test_no_acknowledged_write_is_lost_by_sigkill(path):
    """A writer is killed again and again while it writes; whatever it had said is there, pairs are whole."""
    said: dict[str, dict | None] = {}
    version = 0
    for lines in (1, 7, 50, 333):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": sys.path[0]},
        )
        with writer:
            for count, line in enumerate(writer.stdout):
                if count == lines:
                    writer.send_signal(signal.SIGKILL)
                if line.endswith("\n"):  # else the kill cut it off
                    what, *objects = json.loads(line)
                    said |= {raw["metadata"]["name"]: raw if what == "put" else None for raw in objects}
        store, keep = opened(path)
        found = {raw["metadata"]["name"]: raw for raw in store.list("ConfigMap")}
        keep.close()
        unsaid = found.keys() - said.keys()
        assert len(unsaid) in (0, 2)  # the transaction that it could not tell of any more
        later = [name for name in said if said[name] is not None and found.get(name) != said[name]]
        assert len(later) <= 1  # a change or a removal that it could not tell of any more
        assert not [name for name in said if said[name] is None and name in found]
        assert int(store.version) > version
        version = int(store.version)
        said = dict(found) | {name: None for name in said if name not in found}
