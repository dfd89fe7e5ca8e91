from pathlib import Path

import pytest

from labkit.errors import LabError, StateError
from labkit.lab.state import folder


def test_a_folder_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = folder("course-1.a_B")
    assert made == tmp_path / "state" / "labkit" / "course-1.a_B"
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o755)
    assert folder("course-1.a_B").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("relative", ["", "state", "./x"])
def test_a_relative_path_does_not_count(relative: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", relative)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder("a") == tmp_path / ".local" / "state" / "labkit" / "a"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/", "a b", "-a", "a\n", "é", "a" * 64, "a\0"])
def test_a_name_that_is_no_folders(name: str) -> None:
    with pytest.raises(LabError, match="a lab that is kept is named by letters"):
        folder(name)


def test_where_there_is_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "labkit").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(StateError, match="cannot be kept in"):
        folder("a")
