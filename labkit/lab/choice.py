"""Which sandbox a lab gets, and why. Pure."""

from __future__ import annotations

from labkit.errors import LabError, MissingFeature, NoSandbox
from labkit.linux.features import BY_NAME

NAMES = {"namespaces": "Linux namespaces", "uml": "User-Mode Linux"}


def attempts(wanted: str) -> tuple[str, ...]:
    """The kinds to try, in this order."""
    return ("namespaces", "uml") if wanted == "auto" else (wanted,)


def why(kind: str, wanted: str, refused: dict[str, LabError]) -> str:
    """One line: the kind, and what spoke for it."""
    if kind == wanted:
        return f"{NAMES[kind]}, as asked for"
    if not refused:
        return f"{NAMES[kind]}, which this machine allows"
    (error,) = refused.values()
    return f"{NAMES[kind]}, because {_reason(error)}"


def failure(refused: dict[str, LabError]) -> LabError:
    """What is raised where no attempt has led to a lab: the only refusal, or all of them in one."""
    if len(refused) == 1:
        (error,) = refused.values()
        return error
    listed = "\n".join(f"  {NAMES[kind]}: {error}" for kind, error in refused.items())
    return NoSandbox(f"this machine has no sandbox for this lab:\n{listed}\n`labkit doctor` looks at the machine")


def _reason(error: LabError) -> str:
    if isinstance(error, MissingFeature):
        parts = ", ".join(f"{name} ({BY_NAME[name].purpose})" for name in error.details["missing"])
        return f"this machine's own kernel has no {parts}"
    return "this machine allows no user namespaces"
