"""A notebook read from its file: cells with their code as Python, their outputs as text."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from labkit.errors import LabError


@dataclass(frozen=True)
class Cell:
    """One cell; `number` counts all cells of the notebook from 1, as a reader does."""

    number: int
    kind: str
    source: str
    tags: tuple[str, ...] = ()
    execution: int | None = None
    outputs: tuple[dict[str, Any], ...] = ()

    @cached_property
    def tree(self) -> ast.Module | None:
        """The code, with magics turned into calls; None where it is not Python (a %%bash cell, a syntax error)."""
        if self.source.lstrip().startswith("%%"):
            return None
        source = self.source
        if any(sign in source for sign in "%!?"):  # importing IPython costs more than all the rest
            from IPython.core.inputtransformer2 import TransformerManager

            source = TransformerManager().transform_cell(source)  # type: ignore[no-untyped-call]
        try:
            return ast.parse(source)
        except SyntaxError:
            return None

    @property
    def text(self) -> str:
        """What the cell printed or showed as text or HTML; pictures are left out."""
        return "\n".join(_text(output) for output in self.outputs)

    @property
    def failed(self) -> bool:
        return any(output["output_type"] == "error" for output in self.outputs)


@dataclass(frozen=True)
class Notebook:
    path: Path
    cells: tuple[Cell, ...]

    @property
    def code(self) -> tuple[Cell, ...]:
        """The code cells that hold something."""
        return tuple(cell for cell in self.cells if cell.kind == "code" and cell.source.strip())


def read(path: Path) -> Notebook:
    """Read an .ipynb file (nbformat 4). Raises `LabError` for one that is not."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise LabError(f"{path} is not a notebook that can be read: {error}") from error
    return Notebook(path, tuple(_cell(number, raw) for number, raw in enumerate(cells, start=1)))


def read_all(folder: Path) -> list[Notebook]:
    """The notebooks of a folder and of those below it, sorted; Jupyter's checkpoints are left out."""
    paths = sorted(path for path in folder.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return [read(path) for path in paths]


def _cell(number: int, raw: dict[str, Any]) -> Cell:
    return Cell(
        number,
        raw["cell_type"],
        _joined(raw["source"]),
        tuple(raw.get("metadata", {}).get("tags", ())),
        raw.get("execution_count"),
        tuple(raw.get("outputs", ())),
    )


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _text(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    parts = [output.get("text", ""), *(data.get(kind, "") for kind in ("text/plain", "text/html", "text/markdown"))]
    return "\n".join(_joined(part) for part in parts if part)
