"""The table of pods, above all its STATUS: what of a pod's many states a reader should see first.

Source: pkg/printers/internalversion/printers.go (printPod).
"""

from __future__ import annotations

from typing import Any

import msgspec

from labkit.apiserver.tables.columns import AGE, NAME, Column, Printer, View, wide
from labkit.apiserver.tables.human import moment, since
from labkit.apiserver.tables.words import NONE, holds

Raw = dict[str, Any]

COLUMNS = (
    NAME,
    Column("Ready", text="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", text="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        text="The number of times the containers in this pod have been restarted and when the last container in this "
        "pod has restarted.",
    ),
    AGE,
    wide("IP", "core.v1.PodStatus.podIP"),
    wide("Node", "core.v1.PodSpec.nodeName"),
    wide("Nominated Node", "core.v1.PodStatus.nominatedNodeName"),
    wide("Readiness Gates", "core.v1.PodSpec.readinessGates"),
)


class _State(msgspec.Struct):
    """What is known of a pod while its containers are looked at, one after the other."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last: str = ""

    def restarted(self, container: Raw) -> None:
        self.restarts += container.get("restartCount", 0)
        ended = (container.get("lastState") or {}).get("terminated") or {}
        finished = ended.get("finishedAt") or ""
        if (moment(finished) or 0) > (moment(self.last) or 0):
            self.last = finished


def cells(pod: Raw, view: View) -> list[Any]:
    meta, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    state = _State(status.get("reason") or status.get("phase") or "")
    if any(c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in _conditions(status)):
        state.reason = "SchedulingGated"
    initializing = _init_containers(spec, status, sidecars, state)
    if not initializing or holds(status, "Initialized"):
        _forget_finished_init(status, sidecars, state)
        _containers(status, state)
    if meta.get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            state.reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            state.reason = "Terminating"
    restarts = str(state.restarts)
    if state.restarts and state.last:
        restarts += f" ({since(state.last, view.now)} ago)"
    total = len(spec["containers"]) + len(sidecars)
    age = since(meta.get("creationTimestamp"), view.now)
    return [meta["name"], f"{state.ready}/{total}", state.reason, restarts, age, *_wide(spec, status)]


def _conditions(status: Raw) -> list[Raw]:
    return status.get("conditions") or []


def _init_containers(spec: Raw, status: Raw, sidecars: set[str], state: _State) -> bool:
    """Is an init container still at it? The first that is gives the reason."""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        state.restarted(container)
        now = container.get("state") or {}
        ended, waiting = now.get("terminated"), (now.get("waiting") or {}).get("reason")
        if ended is not None and not ended.get("exitCode"):
            continue
        if container.get("name") in sidecars and container.get("started"):
            state.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            state.reason = f"Init:{_ending(ended)}"
        elif waiting and waiting != "PodInitializing":
            state.reason = f"Init:{waiting}"
        else:
            state.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return True
    return False


def _forget_finished_init(status: Raw, sidecars: set[str], state: _State) -> None:
    """Once the pod is initialized, of its init containers only the restarts of those that go on count."""
    state.restarts, state.last = 0, ""
    for container in status.get("initContainerStatuses") or ():
        if container.get("name") in sidecars:
            state.restarted(container)


def _containers(status: Raw, state: _State) -> None:
    running, failure = False, ""
    for container in reversed(status.get("containerStatuses") or []):
        state.restarted(container)
        now = container.get("state") or {}
        ended, waiting = now.get("terminated"), (now.get("waiting") or {}).get("reason")
        if waiting:
            state.reason = waiting
        elif ended is not None:
            state.reason = _ending(ended)
            if ended.get("exitCode"):
                failure = state.reason
        elif container.get("ready") and "running" in now:
            running = True
            state.ready += 1
    if state.reason == "Completed":
        if running and holds(status, "Ready"):
            state.reason = "Running"
        elif failure:
            state.reason = failure
        elif running:
            state.reason = "NotReady"


def _ending(ended: Raw) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _wide(spec: Raw, status: Raw) -> list[str]:
    addresses = status.get("podIPs") or ()
    address = addresses[0].get("ip") if addresses else status.get("podIP")
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or ()]
    passed = sum(holds(status, gate) for gate in gates)
    return [
        address or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


CONDITIONS = {
    "Succeeded": {
        "type": "Completed",
        "status": "True",
        "reason": "Succeeded",
        "message": "The pod has completed successfully.",
    },
    "Failed": {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."},
}
"""A row's conditions by the pod's phase: clients that list what still runs hide these rows."""

PRINTERS = {"Pod": Printer(COLUMNS, cells, CONDITIONS)}
