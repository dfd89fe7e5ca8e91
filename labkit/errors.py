"""The lab's exceptions: one tree, so that `except LabError` catches whatever the lab itself reports.

A message says what was wrong, where, and what to do. Errors cross the channel between the sandbox and the
notebook by class name, message and details; `to_wire` and `from_wire` are the two ends of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class LabError(Exception):
    """Whatever the lab reports. `details` holds the plain facts behind the message."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = details


class SandboxError(LabError):
    """The sandbox could not be made, or ended."""


class NoSandbox(SandboxError):
    """A sandbox that this machine cannot make; the message says what would let it."""


class StateError(LabError):
    """The kept state of a lab cannot be used: in use by another one, damaged, or none. It was not changed."""


class MissingFeature(LabError):
    """The kernel lacks what this lab asked for. `details["missing"]`: feature -> the kernel's reason."""


class ManifestError(LabError):
    """A manifest cannot be taken. `details["problems"]` lists file, document, field, message and remedy."""


class ApiError(LabError):
    """The API refused a request. `details["status"]` is the Kubernetes `Status` object (reason, code)."""


class NotFound(LabError):
    """A name that the lab does not know: a pod, a node, a point of the curriculum."""


class WaitTimeout(LabError):
    """What was waited for did not happen in time; the message says what is missing and why."""


class CommandError(LabError):
    """A command inside the lab could not be run, or failed where success was asked for."""


class NetlinkError(LabError):
    """The kernel refused a netlink request. `details["errno"]` is the kernel's number."""


class RuleError(LabError):
    """A rule that the kernel refused, or that the model tracer does not know."""


class TraceError(LabError):
    """A trace that could not be taken."""


def _tree(cls: type[LabError]) -> dict[str, type[LabError]]:
    found = {cls.__name__: cls}
    for child in cls.__subclasses__():
        found.update(_tree(child))
    return found


def to_wire(error: BaseException) -> dict[str, Any]:
    """An exception as plain values; one from outside the tree becomes a `LabError` that names its class."""
    if isinstance(error, LabError):
        return {"type": type(error).__name__, "message": error.message, "details": error.details}
    return {"type": "LabError", "message": f"{type(error).__name__}: {error}", "details": {}}


def from_wire(wire: Mapping[str, Any]) -> LabError:
    """The exception that `to_wire` wrote; an unknown class name becomes a plain `LabError`."""
    cls = _tree(LabError).get(wire["type"], LabError)
    return cls(wire["message"], **wire["details"])
