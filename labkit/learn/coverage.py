"""Which cell of which notebook demonstrates which point of the curriculum; faulty claims are errors.

A claim counts if its cell ran without an error, printed the claim's own line, and its condition depends on something
that was observed (`observed`).
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import LabError, NotFound
from labkit.learn import notebook_file
from labkit.learn.claims import mark
from labkit.learn.curriculum import Point, curriculum, point
from labkit.learn.notebook_file import Cell, Notebook
from labkit.learn.observed import Observations


@dataclass(frozen=True)
class Claim:
    """One call of `learn.claim`. `fault` says in one sentence why it does not count; empty where it does."""

    point: str
    notebook: str
    cell: int
    fault: str = ""


@dataclass(frozen=True)
class Report:
    """Every claim of a folder of notebooks, in their order."""

    claims: tuple[Claim, ...]

    @property
    def faults(self) -> tuple[Claim, ...]:
        return tuple(claim for claim in self.claims if claim.fault)

    @property
    def covered(self) -> dict[str, list[Claim]]:
        """Point id -> its good claims."""
        found: dict[str, list[Claim]] = defaultdict(list)
        for claim in self.claims:
            if not claim.fault:
                found[claim.point].append(claim)
        return dict(found)

    @property
    def missing(self) -> dict[str, list[Point]]:
        """Branch -> its points without a good claim."""
        covered = self.covered
        found: dict[str, list[Point]] = defaultdict(list)
        for item in curriculum().items:
            if item.id not in covered:
                found[item.branch].append(item)
        return dict(found)

    def text(self, missing: bool = False) -> str:
        """The report for a terminal: point, notebook and cell; faults; the total. `missing` adds what is not there."""
        covered = self.covered
        lines = [
            f"{item.id}  {', '.join(f'{c.notebook} cell {c.cell}' for c in covered[item.id])}"
            for item in curriculum().items
            if item.id in covered
        ]
        if missing:
            for branch, points in self.missing.items():
                lines += ["", f"missing in {branch} ({len(points)}):", *(f"  {p.id}  {p.title}" for p in points)]
        if self.faults:
            lines += ["", f"faulty claims ({len(self.faults)}):"]
            lines += [f"  {c.notebook} cell {c.cell}: {c.point or 'a claim'}: {c.fault}" for c in self.faults]
        lines += ["", f"{len(covered)} of {len(curriculum().items)} points demonstrated"]
        return "\n".join(lines).lstrip("\n")


def coverage(folder: Path) -> Report:
    """Read every notebook below a folder. Raises `LabError` where there is no such folder or a file is no notebook."""
    if not folder.is_dir():
        raise LabError(f"there is no folder {folder}; name the one with the notebooks by --notebooks")
    return Report(tuple(c for notebook in notebook_file.read_all(folder) for c in _claims(notebook, folder)))


def main(argv: Sequence[str]) -> int:
    """`labkit coverage [--missing] [--notebooks DIR]`: 1 for a faulty claim, 2 where nothing could be read, else 0."""
    parser = argparse.ArgumentParser(prog="labkit coverage", description="Which cell demonstrates which point.")
    parser.add_argument("--missing", action="store_true", help="also list the points that no cell demonstrates yet")
    parser.add_argument("--notebooks", type=Path, default="notebooks", metavar="DIR", help="where they are")
    args = parser.parse_args(argv)
    try:
        report = coverage(args.notebooks)
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(report.text(args.missing) + "\n")
    return 1 if report.faults else 0


def _claims(notebook: Notebook, folder: Path) -> list[Claim]:
    """The claims of one notebook. Observations are followed from its first cell on."""
    name = notebook.path.relative_to(folder).as_posix()
    observations = Observations()
    found: list[Claim] = []
    for cell in notebook.code:
        if cell.tree is None:
            if "learn.claim(" in cell.source:
                found.append(Claim("", name, cell.number, "the cell is not Python"))
            continue
        for statement in cell.tree.body:
            observations.follow(statement)
            found += [_judge(call, cell, name, observations) for call in _calls(statement)]
    return found


def _calls(statement: ast.stmt) -> list[ast.Call]:
    """Calls of `learn.claim`, or of `claim` by itself, in the order of the source."""
    calls = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            function = node.func
            if (isinstance(function, ast.Name) and function.id == "claim") or (
                isinstance(function, ast.Attribute)
                and function.attr == "claim"
                and isinstance(function.value, ast.Name)
                and function.value.id == "learn"
            ):
                calls.append(node)
    return sorted(calls, key=lambda call: call.lineno)


def _judge(call: ast.Call, cell: Cell, notebook: str, observations: Observations) -> Claim:
    arguments = dict(zip(("point_id", "condition", "shows"), call.args, strict=False))
    arguments |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    name = arguments.get("point_id")
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        return Claim("", notebook, cell.number, "the point's id must stand there as a plain text")
    return Claim(name.value, notebook, cell.number, _fault(name.value, arguments.get("condition"), cell, observations))


def _fault(point_id: str, condition: ast.expr | None, cell: Cell, observations: Observations) -> str:
    """The first thing that is wrong with a claim, or nothing."""
    try:
        point(point_id)
    except NotFound as error:
        return error.message
    if condition is None:
        return "it has no condition"
    parts = condition.values if isinstance(condition, ast.Dict) else [condition]
    if not parts or not all(asserts(part, observations) for part in parts):
        return "its condition does not depend on anything that was observed"
    if cell.execution is None:
        return "its cell was never executed"
    if cell.failed:
        return "its cell ended with an error"
    if mark(point_id) not in cell.text:
        return "its cell's output does not show that it was reached; execute the notebook again"
    return ""


def asserts(condition: ast.expr, observations: Observations) -> bool:
    """Whether a condition can turn out either way: it depends on an observation, and is not true by its very form."""
    if not observations.depends(condition):
        return False
    if isinstance(condition, ast.BoolOp):
        return all(asserts(value, observations) for value in condition.values)
    if isinstance(condition, ast.Compare):
        sides = [condition.left, *condition.comparators]
        return len({ast.dump(side) for side in sides}) > 1
    return True
