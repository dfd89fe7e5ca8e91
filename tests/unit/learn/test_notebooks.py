"""The template's check: a notebook that keeps to it, and one broken in each way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.learn.notebooks import problems


def text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def code(number: int, source: str, output: str = "", tags: tuple[str, ...] = ()) -> dict[str, Any]:
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    metadata = {"tags": list(tags)}
    return {
        "cell_type": "code", "source": source, "metadata": metadata, "execution_count": number, "outputs": outputs,
    }  # fmt: skip


GOOD = [
    text("# ClusterIP\n\n**Do**: x\n\n**Learn**: y\n\n**Need**: z"),
    code(1, "from labkit import lab, learn\nlearn.tree('services/clusterip')"),
    text("## Predict"),
    code(2, "guess = learn.predict('?', ['a', 'b'])\nguess"),
    text("## Observe"),
    code(
        3, "learn.claim('services/clusterip/target', k.ready)", "fe80::a:58:10:1 02:42:ac:11:00:02 /etc/resolv.conf 10s"
    ),
    text("## Explain\n\nBecause."),
    text("## Change one thing"),
    code(4, "ipywidgets.interact(f, n=(1, 3))"),
    text("## Exercise"),
    code(5, "answer = None\nlearn.check('services/port-mapping', answer)"),
    code(6, "assert learn.check('services/port-mapping', 1)", tags=("solution",)),
    text("## Recall\n\n1. Why?"),
    text("## Glossary"),
    code(7, "learn.glossary('ClusterIP')"),
    text("## Next\n\n[NodePort](02_nodeport.ipynb)"),
]


def write(folder: Path, cells: list[dict[str, Any]], name: str = "01_clusterip.ipynb") -> Path:
    path = folder / name
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_notebook_as_it_should_be(tmp_path: Path) -> None:
    assert problems(write(tmp_path, GOOD)) == []


def change(number: int, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    return lambda cells: cells[number].update(fields)


def printed(line: str) -> dict[str, Any]:
    return {"outputs": [{"output_type": "stream", "name": "stdout", "text": line}]}


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (change(0, source="ClusterIP"), "the first cell is not a title"),
        (change(0, source="# ClusterIP\n**Do** **Need**"), "the title cell has no **Learn**"),
        (change(6, source="Because."), "there is no section `## Explain`"),
        (change(1, source="x = 1"), "no cell calls learn.tree"),
        (change(3, source="x = 1"), "no cell calls learn.predict"),
        (change(8, source="x = 1"), "no cell makes a widget"),
        (change(11, metadata={}), "no cell is tagged `solution`"),
        (change(11, source="learn.check('a', 1)"), "the solution in cell 12 does not assert learn.check"),
        (change(15, source="## Next"), "the section Next links to no notebook"),
        (change(5, execution_count=None), "cell 6 was never executed"),
        (change(5, execution_count=9), "the cells were not executed once each from top to bottom in a fresh kernel"),
        (change(5, outputs=[{"output_type": "error"}]), "cell 6 ended with an error"),
        (change(5, **printed("see /home/jo/x.py")), "the output of cell 6 shows a path of this machine: /home/jo"),
        (change(5, **printed("at 12:04:59 it")), "the output of cell 6 shows a clock time: 12:04:59"),
        (change(5, **printed("2025-03-01T10:00:00Z")), "the output of cell 6 shows a clock time: 2025-03-01T10:00"),
    ],
)
def test_each_way_to_break_it(tmp_path: Path, broken: Callable[[list[dict[str, Any]]], None], problem: str) -> None:
    cells = copy.deepcopy(GOOD)
    broken(cells)
    assert problem in problems(write(tmp_path, cells))


def test_order_of_sections_and_name(tmp_path: Path) -> None:
    cells = copy.deepcopy(GOOD)
    cells[2]["source"], cells[4]["source"] = "## Observe", "## Predict"
    found = problems(write(tmp_path, cells, "clusterip.ipynb"))
    assert found[0] == "clusterip.ipynb is not named NN_topic.ipynb"
    assert found[1].startswith("the sections are not in the order Predict, Observe")
