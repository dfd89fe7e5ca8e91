"""A notebook with everything that show and learn put into one: executed, then compared by nbval as CI does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import labkit

CELLS = [
    "import random\nfrom pandas import DataFrame\nfrom labkit import show, learn\n"
    "from labkit.net.packet import Packet\nfrom labkit.net.path import Hop, PacketPath",
    "learn.tree('services/clusterip')",
    "guess = learn.predict('Which pod?', ['web-1', 'web-2'])\nguess",
    "packet = Packet('10.244.1.5', '10.244.1.6', 'TCP', random.randrange(40000, 60000), 80)\n"
    "hops = tuple(Hop(p, 'pod', 'eth0', d, packet, random.randrange(9)) for p, d in (('a', 'out'), ('b', 'in')))\n"
    "show.path(PacketPath('a', 'b', packet, hops, (), (), (), (), 0, 'timeout'))",
    "n = random.randrange(45, 55)\n"
    "hits = DataFrame({'pod': ['web-1'] * n + ['web-2'] * (100 - n)})\nshow.distribution(hits)",
    "show.table(DataFrame({'pod': ['web-1'], 'ms': [random.random()]}), measured=['ms'])",
    "guess.reveal('web-1')",
    "learn.check('services/port-mapping', None)",
    "learn.claim('services/clusterip/target', len(hits) == 100, shows='both pods')",
    "learn.glossary('ClusterIP')",
    "print('Lab with 3 nodes\\nsandbox: by chance', random.random())",
]


EXECUTE = (
    "import sys, nbclient, nbformat as f; b = f.read(sys.argv[1], 4); nbclient.execute(b); f.write(b, sys.argv[1])"
)


def nbval(folder: Path) -> subprocess.CompletedProcess[str]:
    config = Path(labkit.__file__).parent / "learn" / "nbval.cfg"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env"]
    command += [f"--nbval-sanitize-with={config}", f"--rootdir={folder}", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nbval")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    path = folder / "01_all.ipynb"
    nbformat.write(notebook, path)
    # In a process of its own: the kernel's client warns of things that are none of this project's.
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    subprocess.run([sys.executable, "-c", EXECUTE, str(path)], check=True, capture_output=True, env=environment)
    return path


def test_a_second_run_differs_in_facts_only(executed: Path) -> None:
    """Chance moves ports, counts, milliseconds, bytes of pictures, what a lab lives in: all equal. Not addresses."""
    changed = executed.with_name("02_changed.ipynb")
    changed.write_text(executed.read_text().replace("10.244.1.6:80", "10.244.1.7:80"))
    result = nbval(executed.parent)
    assert f"1 failed, {2 * len(CELLS) - 1} passed" in result.stdout, result.stdout
    assert "02_changed.ipynb::Cell 3" in result.stdout


def test_each_picture_is_one_png_and_one_table(executed: Path) -> None:
    cells = nbformat.read(executed, as_version=4).cells
    outputs = [set(output.data) for output in cells[3].outputs]
    assert outputs == [{"image/png", "text/plain"}, {"text/html", "text/plain"}]
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
