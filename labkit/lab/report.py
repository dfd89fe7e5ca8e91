"""What the doctor found, and how it is told: as text, as JSON. Pure."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from labkit.lab.machine import Machine
from labkit.lab.programs import Found
from labkit.linux.features import EVERY, Feature

NEEDED = {"veth", "bridge"}  # and one of the two iptables
RULES = {"iptables-nft", "iptables-legacy"}
MARGIN = 22  # columns


@dataclass(frozen=True)
class Part:
    """A feature of the kernel, and the reason of each sandbox's kernel that lacks it."""

    feature: Feature
    missing: Mapping[str, str]


@dataclass(frozen=True)
class Report:
    """What was found. `sandboxes` has a reason for each kind that does not start, and "" for one that does."""

    machine: Machine
    sandboxes: Mapping[str, str]
    parts: tuple[Part, ...]
    programs: tuple[Found, ...]

    @property
    def serving(self) -> list[str]:
        """The kinds of sandbox that a lab can use, the preferred first: they start, and have what every lab needs."""
        return [kind for kind, why in self.sandboxes.items() if not why and self._complete(kind)]

    @property
    def usable(self) -> bool:
        """Whether any lab can run."""
        return bool(self.serving)

    def _complete(self, kind: str) -> bool:
        absent = {part.feature.name for part in self.parts if kind in part.missing}
        return not absent & NEEDED and not absent >= RULES

    def costs(self, part: Part) -> str:
        """What it means that a feature is missing somewhere; empty where nothing has to be done about it."""
        if any(kind not in part.missing for kind in self.serving):
            return ""
        others = [other for other in self.parts if other.feature.name == part.feature.instead]
        if any(kind not in other.missing for other in others for kind in self.serving):
            return ""
        return _costs(part.feature.notebooks)

    def remedy(self, part: Part) -> str:
        """The command that brings the feature; of the kinds that do not start, the reason says what to do."""
        if "namespaces" not in part.missing:
            return "the sandbox namespaces, where it works, may have it: see above"
        return part.feature.remedy

    def as_json(self) -> str:
        return json.dumps({"usable": self.usable, "serving": self.serving, **asdict(self)}, indent=1)

    def __str__(self) -> str:
        sections = (_machine(self.machine), _sandboxes(self), _kernel(self), _programs(self), _missing(self))
        return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines)


def _row(name: str, *cells: str) -> str:
    text = f"{name:{MARGIN}}{''.join(f'{cell:12}' for cell in cells)}"
    return textwrap.fill(text, 120, subsequent_indent=" " * MARGIN, break_on_hyphens=False, break_long_words=False)


def _costs(notebooks: tuple[str, ...]) -> str:
    if notebooks == EVERY:
        return "every notebook needs it"
    return f"needed by {', '.join(notebooks)}" if notebooks else "no notebook needs it so far"


def _machine(machine: Machine) -> Iterator[str]:
    user = "root" if machine.user == 0 else f"user {machine.user}"
    yield f"Linux {machine.kernel}, Python {machine.python}, {user}"
    yield _row("memory", f"{machine.memory} MB, {machine.free} free; {machine.processors} processors")
    bounds = f" ({', '.join(machine.bounds)})" if machine.bounds else ""
    yield _row("capabilities", (", ".join(machine.capabilities) or "none") + bounds)
    yield _row("user namespaces", _allowed(machine.user_namespaces))
    yield _row("ptrace", _allowed(machine.ptrace))
    yield _row("Landlock", f"version {machine.landlock}" if machine.landlock else "none")


def _allowed(why_not: str) -> str:
    return f"refused: {why_not}" if why_not else "allowed"


def _sandboxes(report: Report) -> Iterator[str]:
    for kind, why in report.sandboxes.items():
        state = "works" if kind in report.serving else "starts, but what every lab needs is missing"
        yield _row(f"sandbox {kind}", why or state)
    if len(report.serving) > 1:
        first, second = report.serving
        yield f"A lab takes {first} where that kernel has what it asks for, else {second}."
    elif report.usable:
        yield f"A lab takes {report.serving[0]}."
    else:
        yield "No lab can run here."


def _kernel(report: Report) -> Iterator[str]:
    kinds = [kind for kind, why in report.sandboxes.items() if not why]
    if kinds:
        yield _row("kernel", *kinds, "for")
    for part in report.parts if kinds else ():
        yield _row(
            part.feature.name, *("no" if kind in part.missing else "yes" for kind in kinds), part.feature.purpose
        )


def _programs(report: Report) -> Iterator[str]:
    yield _row("program", "version", "for")
    for found in report.programs:
        yield _row(found.program.name, found.version or "missing", found.program.purpose)


def _missing(report: Report) -> Iterator[str]:
    """What it costs, and the command that gets it."""
    parts = [(part, costs) for part in report.parts if part.missing and (costs := report.costs(part))]
    programs = [found.program for found in report.programs if not found.version]
    if parts or programs:
        yield "missing"
    for part, costs in parts:
        yield _row(part.feature.name, costs)
        yield _row("", report.remedy(part))
    for program in programs:
        yield _row(program.name, _costs(program.notebooks))
        yield _row("", f"sudo apt-get install {program.package}")
