"""The lists of dependencies agree, and what the two commands install from is complete."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
FILE = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = FILE["project"], FILE["dependency-groups"]


def name_of(requirement: str) -> str:
    return re.split(r"[<>=!~ ;\[]", requirement)[0].lower().replace("_", "-")


def locked(file: str) -> dict[str, str]:
    lines = [line for line in (ROOT / file).read_text().splitlines() if "==" in line]
    return {name_of(line): line.split("==")[1].split()[0] for line in lines}


def test_conda_gets_the_same_dependencies() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    plain = [entry for entry in conda if isinstance(entry, str) and entry != "pip"]
    assert f"python{PROJECT['requires-python']}" in plain
    listed = [entry for entry in plain if not entry.startswith("python>")] + [p for p in pip if p != "-e ."]
    assert sorted(listed) == sorted(PROJECT["dependencies"])


def test_every_dependency_is_locked() -> None:
    runtime, tests = locked("binder/requirements.txt"), locked("tests/requirements.txt")
    assert {name_of(d) for d in PROJECT["dependencies"]} <= runtime.keys()
    assert {name_of(d) for d in PROJECT["optional-dependencies"]["test"]} <= tests.keys()
    assert {n: v for n, v in tests.items() if n in runtime} == runtime, "tests run with what learners get"


def test_a_hubs_program_is_locked_beside_what_learners_get() -> None:
    runtime, hub = locked("binder/requirements.txt"), locked("binder/hub.txt")
    assert {name_of(d) for d in GROUPS["hub"]} <= hub.keys()
    assert {n: v for n, v in runtime.items() if n in hub} == {n: v for n, v in hub.items() if n in runtime}


def test_an_image_holds_nothing_that_a_fresh_clone_does_not() -> None:
    """.dockerignore has rules of its own: a name counts from the top, and needs no slash at its end."""
    left_out = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    assert {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines()} <= left_out


def test_a_lock_names_no_place_to_fetch_from() -> None:
    for file in ("binder/requirements.txt", "binder/hub.txt", "tests/requirements.txt"):
        assert "://" not in (ROOT / file).read_text()


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="git tells what belongs there")
def test_top_level_holds_what_belongs_there() -> None:
    ask = ["git", "-c", f"safe.directory={ROOT}", "ls-files"]  # root may run the tests in somebody's folder
    tracked = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in tracked.splitlines()}
    folders = {".ci", "binder", "labkit", "notebooks", "tests"}
    files = {".dockerignore", ".gitignore", "LICENSE", "README.md", "environment.yml", "pyproject.toml"}
    assert top <= folders | files


def test_jupyterlab_has_the_settings_that_keep_it_from_asking() -> None:
    """A name or a value that it does not know would be passed over, and the learner asked at the first start."""
    overrides = json.loads((ROOT / "binder/labconfig/default_setting_overrides.json").read_text())
    assert overrides
    for plugin, settings in overrides.items():
        package, _, name = plugin.partition(":")
        known = json.loads(Path(sys.prefix, "share/jupyter/lab/schemas", package, f"{name}.json").read_text())
        for setting, value in settings.items():
            assert value in [one["const"] for one in known["properties"][setting]["oneOf"]]
