"""Every notebook is committed as the template asks, executed, and each of its claims is backed."""

import json
import re
from pathlib import Path

import pytest

from labkit.lab.programs import PROGRAMS, Program
from labkit.learn.coverage import coverage
from labkit.learn.notebooks import problems
from labkit.linux.features import EVERY, FEATURES, Feature

FOLDER = Path(__file__).parents[3] / "notebooks"


@pytest.mark.parametrize("notebook", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_keeps_to_the_template(notebook: Path) -> None:
    assert problems(notebook) == []


def test_every_claim_is_backed_by_an_observation() -> None:
    report = coverage(FOLDER)
    assert not report.faults
    assert report.covered


@pytest.mark.parametrize("used", [*FEATURES, *PROGRAMS], ids=lambda u: u.name)
def test_the_doctor_knows_which_notebooks_use_it(used: Feature | Program) -> None:
    """`labkit doctor` says what a missing part of the kernel, or a missing program, costs."""
    if used.notebooks == EVERY:
        return
    found = (path.stem for path in sorted(FOLDER.glob("*.ipynb")) if used.sign and re.search(used.sign, cells(path)))
    assert used.notebooks == tuple(found)


def cells(path: Path) -> str:
    return "\n".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code")
