"""The template that every notebook of the course follows, and the check of it.

# Title                                   with the lines **Do**, **Learn**, **Need**
learn.tree("branch/group")                where we are
## Predict      learn.predict(…)          before anything is seen
## Observe                                real packets, a table, a picture
## Explain                                three sentences and the rule that fired
## Change one thing                       a widget
## Exercise     learn.check(…)            and a cell tagged `solution` that passes it
## Recall                                 questions
## Glossary     learn.glossary(…)
## Next                                   a link to the notebook that follows
"""

from __future__ import annotations

import re
from pathlib import Path

from labkit.learn.notebook_file import Notebook, read

SECTIONS = ("Predict", "Observe", "Explain", "Change one thing", "Exercise", "Recall", "Glossary", "Next")
_CALLS = ("learn.tree(", "learn.predict(", "learn.claim(", "learn.check(", "learn.glossary(")
_WIDGETS = ("interact(", "interact_manual(", "interactive(", "widgets.", "@interact")

# Places of the machine on which the notebook ran; the lab's own files (/etc/resolv.conf, /run/netns) are facts.
_MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:home|root|Users|tmp|workspace|work|mnt|private)/[\w.-]+")
_CLOCK = re.compile(r"(?<![\w:.])\d{1,2}:[0-5]\d:[0-5]\d(?![\w:])|\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")


def problems(path: Path) -> list[str]:
    """What a committed notebook lacks of the template, one sentence each; empty where it is as it should be."""
    notebook = read(path)
    return [
        *_name(path),
        *_title(notebook),
        *_sections(notebook),
        *_contents(notebook),
        *_executed(notebook),
        *_outputs(notebook),
    ]


def _name(path: Path) -> list[str]:
    return [] if re.fullmatch(r"\d\d_[a-z0-9_]+\.ipynb", path.name) else [f"{path.name} is not named NN_topic.ipynb"]


def _title(notebook: Notebook) -> list[str]:
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.kind != "markdown" or not first.source.startswith("# "):
        return ["the first cell is not a title"]
    return [f"the title cell has no **{word}**" for word in ("Do", "Learn", "Need") if f"**{word}" not in first.source]


def _sections(notebook: Notebook) -> list[str]:
    headings = [
        line.removeprefix("## ").strip()
        for cell in notebook.cells
        if cell.kind == "markdown"
        for line in cell.source.splitlines()
        if line.startswith("## ")
    ]
    first = {section: next((i for i, h in enumerate(headings) if h.startswith(section)), None) for section in SECTIONS}
    found = [f"there is no section `## {section}`" for section, at in first.items() if at is None]
    order = [at for at in first.values() if at is not None]
    if order != sorted(order):
        found.append(f"the sections are not in the order {', '.join(SECTIONS)}")
    return found


def _contents(notebook: Notebook) -> list[str]:
    code = "\n".join(cell.source for cell in notebook.code)
    found = [f"no cell calls {call[:-1]}" for call in _CALLS if call not in code]
    if not any(widget in code for widget in _WIDGETS):
        found.append("no cell makes a widget")
    solutions = [cell for cell in notebook.code if "solution" in cell.tags]
    if not solutions:
        found.append("no cell is tagged `solution`")
    found += [
        f"the solution in cell {cell.number} does not assert learn.check"
        for cell in solutions
        if not re.search(r"assert\s+learn\.check\(", cell.source)
    ]
    markdown = [cell.source for cell in notebook.cells if cell.kind == "markdown"]
    if not any(re.search(r"^## Next[^\x00]*\.ipynb", source, re.MULTILINE) for source in markdown):
        found.append("the section Next links to no notebook")
    return found


def _executed(notebook: Notebook) -> list[str]:
    found = [f"cell {cell.number} was never executed" for cell in notebook.code if cell.execution is None]
    counts = [cell.execution for cell in notebook.code if cell.execution is not None]
    if counts != list(range(1, len(counts) + 1)):
        found.append("the cells were not executed once each from top to bottom in a fresh kernel")
    return found + [f"cell {cell.number} ended with an error" for cell in notebook.code if cell.failed]


def _outputs(notebook: Notebook) -> list[str]:
    found = []
    for cell in notebook.code:
        for pattern, what in ((_MACHINE_PATH, "a path of this machine"), (_CLOCK, "a clock time")):
            if match := pattern.search(cell.text):
                found.append(f"the output of cell {cell.number} shows {what}: {match.group()}")
    return found
