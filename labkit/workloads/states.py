"""The states of a container, and its status, as the API has them (ContainerState, ContainerStatus of core/v1). Pure."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from labkit.api.objects import Container, VolumeMount

State = dict[str, Any]

CREATING: State = {"waiting": {"reason": "ContainerCreating"}}
INITIALIZING: State = {"waiting": {"reason": "PodInitializing"}}


def waiting(reason: str, message: str) -> State:
    return {"waiting": {"reason": reason, "message": message}}


def running() -> State:
    return {"running": {"startedAt": now()}}


def terminated(code: int, began: State, container_id: str) -> State:
    """The end of what was `began`: a running state."""
    ended = {
        "exitCode": code,
        "reason": "Error" if code else "Completed",
        "startedAt": began["running"]["startedAt"],
        "finishedAt": now(),
        "containerID": container_id,
    }
    return {"terminated": ended}


def container_id(uid: str, name: str, restarts: int) -> str:
    """One run of a container, in the form that container runtimes use."""
    return f"labkit://{hashlib.sha256(f'{uid}/{name}/{restarts}'.encode()).hexdigest()}"


def status(
    container: Container,
    state: State,
    last: State,
    restarts: int,
    container_id: str,
    *,
    ready: bool,
    started: bool,
) -> State:
    found = {
        "name": container.name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": restarts,
        "image": container.image,
        "imageID": container.image if container_id else "",
        "started": started,
    }
    if container_id:
        found["containerID"] = container_id
    if container.volume_mounts:
        found["volumeMounts"] = [_mount(each) for each in container.volume_mounts]
    return found


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _mount(mount: VolumeMount) -> dict[str, Any]:
    found: dict[str, Any] = {"name": mount.name, "mountPath": mount.mount_path}
    return found | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.read_only else {})
