"""Every notebook is committed as the template asks, executed, and each of its claims is backed."""

from pathlib import Path

import pytest

from labkit.learn.coverage import coverage
from labkit.learn.notebooks import problems

FOLDER = Path(__file__).parents[3] / "notebooks"


@pytest.mark.parametrize("notebook", sorted(FOLDER.glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_keeps_to_the_template(notebook: Path) -> None:
    assert problems(notebook) == []


def test_every_claim_is_backed_by_an_observation() -> None:
    report = coverage(FOLDER)
    assert not report.faults
    assert report.covered
