"""Every concept has its folder, every folder its README, no file grows past a screenful of screens."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(p.parent for p in (ROOT / "labkit").glob("*/__init__.py"))
SOURCES = sorted((ROOT / "labkit").rglob("*.py")) + sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_a_readme_names_files_that_exist(package: Path) -> None:
    text = (package / "README.md").read_text()
    named = set(re.findall(r"`(\w+\.py)`", text))
    assert named, "it names its files"
    elsewhere = {p.name for p in (ROOT / "labkit").rglob("*.py")}
    assert named <= elsewhere, f"{named - elsewhere} is gone"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_longer_than_300_lines(source: Path) -> None:
    assert len(source.read_text().splitlines()) <= 300


def test_the_import_contract_covers_every_package() -> None:
    contract = (ROOT / "pyproject.toml").read_text().split("[[tool.importlinter.contracts]]")[1]
    for package in PACKAGES:
        assert re.search(rf"labkit\.{package.name}\b", contract), package.name
