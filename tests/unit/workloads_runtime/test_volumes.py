"""What is in a pod's volumes, and how the files come into the directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import Container, Pod
from labkit.errors import CommandError
from labkit.linux.filesystem import Mount
from labkit.workloads.fields import Facts
from labkit.workloads.sources import Sources
from labkit.workloads.volume_files import VolumeFiles, update
from labkit.workloads.volumes import Directory, Files, plan, references

CONFIG = {
    "kind": "ConfigMap",
    "metadata": {"name": "cfg", "namespace": "shop"},
    "data": {"a": "1", "b": "2"},
    "binaryData": {"c": "AAE="},
}
SECRET = {"kind": "Secret", "metadata": {"name": "sec", "namespace": "shop"}, "data": {"pw": "aHVudGVyMg=="}}
CLAIM = {"kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"}}
FACTS = Facts("10.0.0.1", "172.18.1.11")


def pod(*volumes: dict[str, Any], **container: Any) -> Pod:
    raw = {
        "metadata": {"name": "p", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", **container}], "volumes": list(volumes), "nodeName": "node-1"},
    }
    return msgspec.convert(raw, Pod)


def planned(**source: Any) -> Files | Directory:
    found = plan(pod({"name": "v", **source}), FACTS, Sources([CONFIG, SECRET, CLAIM]), lambda t: f"t:{t.audience}")
    return found["v"]


def test_all_keys_or_the_listed_ones() -> None:
    whole = planned(configMap={"name": "cfg"})
    assert whole == Files({"a": (b"1", 0o644), "b": (b"2", 0o644), "c": (b"\x00\x01", 0o644)})
    items = [{"key": "a", "path": "x/y", "mode": 0o400}, {"key": "b", "path": "z"}]
    some = planned(configMap={"name": "cfg", "items": items, "defaultMode": 0o600})
    assert some == Files({"x/y": (b"1", 0o400), "z": (b"2", 0o600)})
    assert planned(secret={"secretName": "sec"}) == Files({"pw": (b"hunter2", 0o644)})


def test_projected() -> None:
    sources = [
        {"serviceAccountToken": {"path": "token", "audience": "vault"}},
        {"configMap": {"name": "cfg", "items": [{"key": "a", "path": "ca"}]}},
        {"secret": {"name": "sec"}},
        {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    assert planned(projected={"sources": sources, "defaultMode": 0o440}) == Files(
        {"token": (b"t:vault", 0o600), "ca": (b"1", 0o440), "pw": (b"hunter2", 0o440), "ns": (b"shop", 0o440)}
    )


def test_directories() -> None:
    assert planned(emptyDir={}) == planned() == Directory("pod")
    assert planned(hostPath={"path": "/etc", "type": "Directory"}) == Directory("host", "/etc", "Directory")
    claim = planned(persistentVolumeClaim={"claimName": "data", "readOnly": True})
    assert claim == Directory("claim", "data", read_only=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"persistentVolumeClaim": {"claimName": "none"}}, 'persistentvolumeclaim "none" not found'),
        (
            {"configMap": {"name": "cfg", "items": [{"key": "k", "path": "k"}]}},
            "configmap references non-existent config key: k",
        ),
        (
            {"secret": {"secretName": "sec", "items": [{"key": "k", "path": "k"}]}},
            "references non-existent secret key: k",
        ),
    ],
)
def test_what_is_missing(source: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        planned(**source)
    assert (caught.value.message, caught.value.details) == (message, {"volume": "v"})


def test_what_is_optional() -> None:
    assert planned(configMap={"name": "none", "optional": True}) == Files({})
    missing = [{"key": "k", "path": "k"}]
    assert planned(secret={"secretName": "sec", "optional": True, "items": missing}) == Files({})


def test_references() -> None:
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}}]
    found = references(
        pod(
            {"name": "v", "projected": {"sources": [{"configMap": {"name": "c1"}}, {"secret": {"name": "s2"}}]}},
            {"name": "w", "persistentVolumeClaim": {"claimName": "p1"}},
            env=env,
            envFrom=[{"configMapRef": {"name": "c2"}}],
        )
    )
    assert found == {
        ("Secret", "s1"), ("Secret", "s2"), ("ConfigMap", "c1"), ("ConfigMap", "c2"), ("PersistentVolumeClaim", "p1"),
    }  # fmt: skip


NAMES = st.text("ab.-_", min_size=1, max_size=3).filter(lambda n: not n.startswith("..") and n != ".")
CONTENTS = st.dictionaries(NAMES, st.tuples(st.binary(max_size=5), st.sampled_from([0o644, 0o600])), max_size=4)


@given(st.lists(CONTENTS, min_size=1, max_size=4))
def test_a_directory_holds_what_it_was_last_given(versions: list[dict[str, tuple[bytes, int]]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        for contents in versions:
            update(directory, contents)
            shown = {p.name: (p.read_bytes(), p.stat().st_mode & 0o7777) for p in directory.iterdir() if _is_key(p)}
            assert shown == contents
            assert len([p for p in directory.iterdir() if p.name.startswith("..2")]) == 1  # no version is left behind


def _is_key(path: Path) -> bool:
    return not path.name.startswith("..")


def test_nothing_is_written_where_nothing_has_changed(tmp_path: Path) -> None:
    update(tmp_path, {"d/a": (b"1", 0o644)})
    before = (tmp_path / "..data").readlink()
    update(tmp_path, {"d/a": (b"1", 0o644)})
    assert (tmp_path / "..data").readlink() == before
    update(tmp_path, {"d/a": (b"1", 0o600)})
    assert (tmp_path / "..data").readlink() != before
    assert (tmp_path / "d").readlink() == Path("..data/d")


def test_mounts(tmp_path: Path) -> None:
    mounts = [
        {"name": "f", "mountPath": "/f"},
        {"name": "e", "mountPath": "/e", "subPathExpr": "$(NAME)/x"},
        {"name": "e", "mountPath": "/r", "readOnly": True},
    ]
    files = VolumeFiles(pod(), tmp_path)
    files.write({"f": Files({"k": (b"1", 0o644)}), "e": Directory("pod")})
    made = files.mounts(msgspec.convert({"name": "c", "volumeMounts": mounts}, Container), {"NAME": "p"})
    own = tmp_path / "u"
    assert made == [
        Mount(f"{own}/f", "/f", True),
        Mount(f"{own}/e/p/x", "/e", False),
        Mount(f"{own}/e", "/r", True),
    ]
    assert (own / "e" / "p" / "x").is_dir()
    files.remove()
    assert not own.exists()


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../x", "link/x"])
def test_a_sub_path_stays_in_its_volume(tmp_path: Path, path: str) -> None:
    files = VolumeFiles(pod(), tmp_path)
    files.write({"e": Directory("pod")})
    (tmp_path / "u" / "e" / "link").symlink_to("/etc")
    container = {"name": "c", "volumeMounts": [{"name": "e", "mountPath": "/e", "subPath": path}]}
    with pytest.raises(CommandError, match='failed to prepare subPath for volumeMount "e" of container "c"'):
        files.mounts(msgspec.convert(container, Container), {})


def test_paths_of_the_node(tmp_path: Path) -> None:
    files = VolumeFiles(pod(), tmp_path)
    here = tmp_path / "there"
    here.mkdir()
    files.write(
        {
            "there": Directory("host", str(here)),
            "new": Directory("host", "/no/such/place", "DirectoryOrCreate"),
            "file": Directory("host", "/no/such/file", "FileOrCreate"),
        }
    )
    names = [{"name": n, "mountPath": f"/{n}"} for n in ("there", "new", "file")]
    made = files.mounts(msgspec.convert({"name": "c", "volumeMounts": names}, Container), {})
    assert [m.source for m in made] == [
        str(here), f"{tmp_path}/hosts/node-1/no/such/place", f"{tmp_path}/hosts/node-1/no/such/file",
    ]  # fmt: skip
    assert Path(made[2].source).is_file()
    for kind, what in (("File", "a file"), ("Socket", "a socket file"), ("Directory", "a directory")):
        path = "/no/such" if kind == "Directory" else str(here)
        with pytest.raises(CommandError, match=f"hostPath type check failed: {path} is not {what}"):
            VolumeFiles(pod(), tmp_path).write({"v": Directory("host", path, kind)})
