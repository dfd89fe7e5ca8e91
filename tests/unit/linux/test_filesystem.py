"""Covered directories show what was in them, as far as it is still there."""

from pathlib import Path

from labkit.linux import filesystem


def test_what_is_gone_meanwhile_does_not_show(tmp_path: Path) -> None:
    filesystem._show(str(tmp_path / "gone"), tmp_path / "new", "/run")
    assert not (tmp_path / "new").exists()


def test_links_show_as_links(tmp_path: Path) -> None:
    (tmp_path / "old").symlink_to("/somewhere")
    filesystem._show(str(tmp_path / "old"), tmp_path / "new", "/run")
    assert (tmp_path / "new").readlink() == Path("/somewhere")
