"""How a command ended, as the `Status` that its client gets last.

Source: pkg/kubelet/cri/streaming/remotecommand/{exec,attach}.go; k8s.io/apimachinery/pkg/api/errors.NewInternalError.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Raw = dict[str, Any]


def ended(command: Sequence[str], code: int) -> Raw:
    """The command has ended by itself."""
    if not code:
        return {"metadata": {}, "status": "Success"}
    why = f"error executing command [{' '.join(command)}], exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {why}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed(doing: str, why: str) -> Raw:
    """It could not be run. doing: "executing command in container", "attaching to container"."""
    text = f"error {doing}: {why}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {text}",
        "reason": "InternalError",
        "details": {"causes": [{"message": text}]},
        "code": 500,
    }


def plain(status: Raw) -> str:
    """What protocols before v4 say: the message of a failure, nothing after a success."""
    return "" if status["status"] == "Success" else str(status["message"])
