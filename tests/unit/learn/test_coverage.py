"""Which claims count, and what is said of those that do not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LabError
from labkit.learn.coverage import Claim, coverage, main

POINT = "services/clusterip/port-mapping"
START = "from labkit import lab, learn, show\nimport subprocess\nimport yaml\nk = lab.start()"


def cell(source: str, execution: int | None = 1, outputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    printed = [{"output_type": "stream", "name": "stdout", "text": [f"✓ {POINT} | Port Mapping\n"]}]
    return {
        "cell_type": "code",
        "source": source.splitlines(keepends=True),
        "metadata": {},
        "execution_count": execution,
        "outputs": printed if outputs is None else outputs,
    }


def claims(folder: Path, *cells: dict[str, Any]) -> tuple[Claim, ...]:
    notebook = {"cells": [cell(START, outputs=[]), *cells], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "01_clusterip.ipynb").write_text(json.dumps(notebook))
    return coverage(folder).claims


OBSERVED = [
    f"path = k.trace('client', 'http://web')\nlearn.claim('{POINT}', path.packet.dport == 80)",
    f"learn.claim('{POINT}', k.pod('client').get('http://web').status.eq(200).all())",
    f"hits = k.get()\nok = len(hits) == 3\nlearn.claim('{POINT}', condition=ok, shows='three')",
    f"out = !kubectl get pods\nlearn.claim('{POINT}', 'web' in out.s)",
    f"out = subprocess.run(['ip', 'a'])\nlearn.claim('{POINT}', out.returncode == 0)",
    f"rows = []\nfor name in 'ab':\n    rows.append(k.pod(name).ip)\nlearn.claim('{POINT}', len(rows) == 2)",
    f"found = {{}}\nfound['x'] = k.ip\nlearn.claim('{POINT}', found['x'] != '')",
    f"def ip(name):\n    return k.pod(name).ip\nlearn.claim('{POINT}', ip('a') != ip('b'))",
    f"def first(rows):\n    return rows[0]\nlearn.claim('{POINT}', first(k.rows) == 1)",
    f"try:\n    k.apply('x')\nexcept Exception as error:\n    learn.claim('{POINT}', 'no' in str(error))",
    f"learn.claim('{POINT}', {{'port': k.port == 80, 'name': k.name == 'web'}})",
    f"a, *b = k.rows\nlearn.claim('{POINT}', b == [1])",
    f"with k.pod('a') as pod:\n    learn.claim('{POINT}', pod.ready)",
    f"if (n := len(k.rows)) > 2:\n    learn.claim('{POINT}', n == 3)",
    f"x = k.rows\nlearn.claim('{POINT}', x == 1)\nx = 3",
    f"learn.claim('{POINT}', all(row > 1 for row in k.rows) and k.ready)",
]


@pytest.mark.parametrize("source", OBSERVED)
def test_a_claim_on_an_observation_counts(tmp_path: Path, source: str) -> None:
    assert claims(tmp_path, cell(source)) == (Claim(POINT, "01_clusterip.ipynb", 2),)


NOTHING = "its condition does not depend on anything that was observed"
PLAIN = [
    "True", "1 == 1", "k.port == k.port", "k.ready or True", "expected == 80", "manifest['port'] == 80",
    "len([1, 2]) == 2", "guess.choice == 'a'", "constant()", "{'fine': k.ready, 'empty': True}", "{}", "turned_plain",
    "picture.title != ''", "int('80') == 80",
]  # fmt: skip
SETUP = """expected = 80
manifest = yaml.safe_load('port: 80')
guess = learn.predict('which?', ['a', 'b'])
turned_plain = k.port
turned_plain = 80
picture = show.table(3)
def constant():
    return 1 == 1
"""


@pytest.mark.parametrize("condition", PLAIN)
def test_a_claim_that_asserts_nothing_is_a_fault(tmp_path: Path, condition: str) -> None:
    found = claims(tmp_path, cell(SETUP, outputs=[]), cell(f"learn.claim('{POINT}', {condition})"))
    assert [claim.fault for claim in found] == [NOTHING]


def test_other_faults(tmp_path: Path) -> None:
    good = f"learn.claim('{POINT}', k.port == 80)"
    error = [{"output_type": "error", "ename": "AssertionError", "evalue": "", "traceback": []}]
    found = claims(
        tmp_path,
        cell(good, execution=None, outputs=[]),
        cell(good, outputs=error),
        cell(good, outputs=[]),
        cell("learn.claim('services/clusterip/port-maping', k.port == 80)"),
        cell(f"name = '{POINT}'\nlearn.claim(name, k.port == 80)"),
        cell(f"learn.claim('{POINT}')"),
        cell(f"%%bash\nlearn.claim('{POINT}', k.port)"),
    )
    assert [claim.fault for claim in found] == [
        "its cell was never executed",
        "its cell ended with an error",
        "its cell's output does not show that it was reached; execute the notebook again",
        "the curriculum has no point 'services/clusterip/port-maping'; did you mean 'services/clusterip/port-mapping'?",
        "the point's id must stand there as a plain text",
        "it has no condition",
        "the cell is not Python",
    ]
    assert [claim.cell for claim in found] == [2, 3, 4, 5, 6, 7, 8]


def test_checkpoints_are_left_out_and_subfolders_are_not(tmp_path: Path) -> None:
    claims(tmp_path, cell(f"learn.claim('{POINT}', k.port == 80)"))
    for folder in (".ipynb_checkpoints", "more"):
        (tmp_path / folder).mkdir()
        shutil.copy(tmp_path / "01_clusterip.ipynb", tmp_path / folder / "02_copy.ipynb")
    report = coverage(tmp_path)
    assert [claim.notebook for claim in report.claims] == ["01_clusterip.ipynb", "more/02_copy.ipynb"]
    assert list(report.covered) == [POINT]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claims(tmp_path, cell(f"learn.claim('{POINT}', k.port == 80)"))
    assert main(["--notebooks", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{POINT}  01_clusterip.ipynb cell 2\n\n1 of 287 points demonstrated\n"
    assert main(["--missing", "--notebooks", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "missing in services (32):\n  services/clusterip/purpose  Purpose: Internal cluster communication\n" in out
    assert out.count("\nmissing in ") == 12
    claims(tmp_path, cell(f"learn.claim('{POINT}', True)"))
    assert main(["--notebooks", str(tmp_path)]) == 1
    assert "faulty claims (1):\n  01_clusterip.ipynb cell 2: services/" in capsys.readouterr().out
    assert main(["--notebooks", str(tmp_path / "nowhere")]) == 2
    assert "--notebooks" in capsys.readouterr().err


def test_a_file_that_is_no_notebook(tmp_path: Path) -> None:
    (tmp_path / "01_x.ipynb").write_text("{}")
    with pytest.raises(LabError, match=r"01_x\.ipynb is not a notebook"):
        coverage(tmp_path)
