"""Whether a program can be started, and what belongs to one that was."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from labkit.errors import CommandError
from labkit.linux import programs, sessions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, mode in (("tool", 0o755), ("text", 0o644)):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["tool", "./tool", "sub/../tool"])
def test_a_program_is_found_by_path_and_from_the_working_directory(folder: Path, name: str) -> None:
    programs.check([name], str(folder), f"/no/such:{folder}")


@pytest.mark.parametrize(
    ("name", "code", "why"),
    [
        ("nothing", 127, "executable file not found in $PATH"),
        ("", 127, "executable file not found in $PATH"),
        ("sub", 127, "executable file not found in $PATH"),
        ("./nothing", 127, "stat ./nothing: no such file or directory"),
        ("./tool/below", 127, "stat ./tool/below: no such file or directory"),
        ("./text", 126, "permission denied"),
        ("./sub", 126, "is a directory"),
    ],
)
def test_what_cannot_be_started(folder: Path, name: str, code: int, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        programs.check([name], str(folder), str(folder))
    assert refused.value.details["code"] == code
    assert refused.value.message.endswith(f'exec: "{name}": {why}: unknown')


@pytest.mark.parametrize(("name", "why"), [("gone", "no such file or directory"), ("tool", "not a directory")])
def test_a_working_directory_that_is_none(folder: Path, name: str, why: str) -> None:
    with pytest.raises(CommandError) as refused:
        programs.check(["tool"], str(folder / name), str(folder))
    assert f'chdir to cwd ("{folder / name}") set in config.json failed: {why}' in refused.value.message


def test_a_family_has_those_of_its_session_and_their_children() -> None:
    script = "sleep 90 & setsid sleep 91 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as leader:
        assert leader.stdout
        other = int(leader.stdout.readline())
        found = sessions.family(leader.pid)
        asyncio.run(sessions.end(leader.pid))
    assert {leader.pid, other} <= found
    assert len(found) == 3
    assert os.getpid() not in found
    assert not sessions.family(leader.pid)
