"""`labkit doctor`: what this machine offers, what is missing, what that costs, and how to get it.

A sandbox of each kind is started and looked at from inside (probe.py): what a lab would find is what is told.
"""

from __future__ import annotations

from labkit.errors import SandboxError
from labkit.lab.machine import look
from labkit.lab.programs import find
from labkit.lab.report import Part, Report
from labkit.linux.features import FEATURES
from labkit.sandbox.start import LAUNCHERS, Sandbox


def examine() -> Report:
    """Look at the machine, and into a sandbox of each kind."""
    found = {kind: _inside(kind) for kind in LAUNCHERS}
    reasons = {kind: answer if isinstance(answer, str) else "" for kind, answer in found.items()}
    missing = {kind: answer for kind, answer in found.items() if isinstance(answer, dict)}
    parts = (
        Part(feature, {kind: absent[feature.name] for kind, absent in missing.items() if feature.name in absent})
        for feature in FEATURES
    )
    return Report(look(), reasons, tuple(parts), find())


def _inside(kind: str) -> dict[str, str] | str:
    """What is missing in a sandbox of a kind, by feature; or why there is none."""
    try:
        sandbox = Sandbox("labkit.lab.probe:main", kind)
        try:
            missing: dict[str, str] = sandbox.call("missing")
        finally:
            sandbox.close()
    except SandboxError as error:
        return str(error)
    return missing
