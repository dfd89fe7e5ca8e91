"""The programs are compiled once, kept in the user's cache, and a missing compiler is told with its package."""

import re
from pathlib import Path

import pytest

from labkit.errors import LabError, MissingFeature
from labkit.proxy.ebpf import image, maglev
from labkit.proxy.ebpf.maps import CABLE, MAPS

SOURCES = Path(image.__file__).parent


def test_the_source_and_the_plan_agree_on_the_tables_size() -> None:
    (size,) = re.findall(r"#define MAGLEV_SIZE (\d+)", (SOURCES / "maps.h").read_text())
    assert int(size) == maglev.SIZE


def test_each_family_has_maps_of_its_own_name() -> None:
    for family, names in MAPS.items():
        made = image.image(family)
        wanted = {*names.order, *names.hooks, *CABLE.values(), names.sockets, names.flows, names.netns, names.node}
        assert not [name for name in wanted if name.encode() not in made]
    assert b"cilium_lb4_services_v2" not in image.image("IPv6")


def test_it_is_compiled_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = image.image()
    assert made[:4] == b"\x7fELF"
    (kept,) = (tmp_path / "labkit").iterdir()
    assert kept.read_bytes() == made
    kept.write_bytes(b"kept")
    monkeypatch.setenv("PATH", "/nowhere")
    assert image.image() == b"kept"


def test_without_a_compiler_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingFeature, match="clang is not installed; sudo apt-get install clang libbpf-dev"):
        image.image()


@pytest.mark.parametrize(
    ("said", "error", "told"),
    [
        ("proxy.c:1:10: fatal error: 'bpf/bpf_helpers.h' file not found", MissingFeature, "apt-get install clang"),
        ("proxy.c:7: error: expected ';'", LabError, "expected ';'"),
    ],
)
def test_what_the_compiler_says_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, error: type[LabError], told: str
) -> None:
    clang = tmp_path / "clang"
    clang.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    clang.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(error, match=told):
        image.image()


def test_where_nothing_can_be_kept_it_is_made_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert image.image()[:4] == b"\x7fELF"
