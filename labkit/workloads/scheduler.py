"""The scheduler: a node for every pod that has none.

    pod -> nodes that may take it (filters) -> the best of them (choice) -> binding
               └─ none: room made by pods of lower priority (preemption), or a message

Source: pkg/scheduler (schedule_one.go, framework/types.go FitError) of v1.34.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from labkit.control import conditions
from labkit.control.deletion import timestamp
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.workloads.ownership import controller_of
from labkit.workloads.ownership import key as name_of
from labkit.workloads.pods import condition, has_ended, is_terminating
from labkit.workloads.scheduling import choice, preemption
from labkit.workloads.scheduling.filters import Obstacle, obstacles
from labkit.workloads.scheduling.preemption import Room
from labkit.workloads.scheduling.snapshot import NodeState, Snapshot

SCHEDULER = "default-scheduler"
GATED = "Scheduling is blocked due to non-empty scheduling gates"
NO_CLAIMS = "no new claims to deallocate"  # the plugin for device claims speaks first, though no pod here has any
HOPELESS, NO_VICTIMS = "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"


def unschedulable(found: Mapping[str, Obstacle], why_no_room: str = "") -> str:
    """The message of a pod that no node takes: how many nodes there are, and what each kind of obstacle stops."""
    if not found:
        return "no nodes available to schedule pods"
    helpless = [NO_VICTIMS if each.resolvable else HOPELESS for each in found.values()]
    after = why_no_room or _counted(len(found), helpless)
    return f"{_available(found)} {NO_CLAIMS}, preemption: {after}"


def _available(found: Mapping[str, Obstacle]) -> str:
    return _counted(len(found), [reason for each in found.values() for reason in each.reasons])


def _counted(total: int, reasons: Iterable[str]) -> str:
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in Counter(reasons).items()))
    return f"0/{total} nodes are available: {listed}."


class Scheduler:
    """Binds pods to nodes. Keys are `rank/namespace/name` of pods: those of higher priority come first."""

    name = "scheduler"
    kinds = frozenset({"Node", "PersistentVolumeClaim", "Pod"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, SCHEDULER)
        self._snapshot = Snapshot(store)
        self._refused: set[str] = set()
        self._nominated: dict[str, Raw] = {}
        store.watch(["Pod"], self._heard)

    def _heard(self, event: Event) -> None:
        """Remember the pods that wait for the room that was made for them."""
        raw, uid = event.object, event.object["metadata"]["uid"]
        waits = raw.get("status", {}).get("nominatedNodeName") and not raw["spec"].get("nodeName")
        if waits and event.type != "DELETED" and not is_terminating(raw) and not has_ended(raw):
            self._nominated[uid] = raw
        else:
            self._nominated.pop(uid, None)

    def keys(self, event: Event) -> Iterable[str]:
        """A pod without a node; all that were refused, where a change may help them."""
        raw = event.object
        if raw["kind"] == "Pod" and not raw["spec"].get("nodeName"):
            return [_key(raw)]
        if event.old and event.type == "MODIFIED" and _decisive(event.old) == _decisive(raw):
            return []
        return sorted(self._refused)

    def reconcile(self, key: str) -> None:
        _, namespace, name = key.split("/")
        pod = self._store.find("Pod", namespace, name)
        if pod is None or pod["spec"].get("nodeName") or is_terminating(pod) or has_ended(pod):
            self._refused.discard(key)
            return
        if pod["spec"].get("schedulerName", SCHEDULER) != SCHEDULER:
            return
        if pod["spec"].get("schedulingGates"):
            conditions.write(self._store, pod, conditions.make("PodScheduled", "False", "SchedulingGated", GATED))
            return
        nodes = self._with_nominated(pod, self._snapshot.nodes())
        found = obstacles(pod, nodes, self._namespace_labels)
        missing = self._missing_claim(pod)
        if missing:
            found = {node: Obstacle((missing,)) for node in nodes}
        fitting = [node for node in nodes if node not in found]
        if fitting:
            self._refused.discard(key)
            self._bind(pod, self._best(pod, nodes, fitting))
            return
        self._refused.add(key)
        self._make_room(pod, nodes, found, missing)

    def _with_nominated(self, pod: Raw, nodes: Mapping[str, NodeState]) -> Mapping[str, NodeState]:
        """The nodes as they will be once those pods are there for which others have to go: their room is taken."""
        found = dict(nodes)
        for other in self._nominated.values():
            name = other["status"]["nominatedNodeName"]
            if (
                name in found
                and key_of(other) != key_of(pod)
                and preemption.priority(other) >= preemption.priority(pod)
            ):
                found[name] = found[name].without(())
                found[name].put(other)
        return found

    def _best(self, pod: Raw, nodes: Mapping[str, NodeState], fitting: list[str]) -> str:
        owner = controller_of(pod)
        owned = self._snapshot.owned(owner["uid"]) if owner else {}
        load = {name: nodes[name].staying for name in fitting}
        zones = {name: nodes[name].raw["metadata"].get("labels", {}).get(choice.ZONE, "") for name in fitting}
        return choice.best(zones, owned, load, choice.wishes(pod, nodes, fitting, self._namespace_labels))

    def _bind(self, pod: Raw, node: str) -> None:
        now = timestamp(self._store.now())
        scheduled = conditions.make("PodScheduled", "True")

        def change(raw: Raw) -> None:
            status = raw.setdefault("status", {})
            raw["spec"]["nodeName"] = node
            status["conditions"] = conditions.merged(status.get("conditions", ()), [scheduled], now)
            status.pop("nominatedNodeName", None)

        bound = self._store.update(*key_of(pod), change)
        self._recorder.event(bound, "Normal", "Scheduled", f"Successfully assigned {name_of(pod)} to {node}")

    def _make_room(self, pod: Raw, nodes: Mapping[str, NodeState], found: Mapping[str, Obstacle], missing: str) -> None:
        """Preempt pods of lower priority where that helps, and say in any case why there is no node."""
        why = preemption.refusal(pod, nodes)
        budgets = self._store.list("PodDisruptionBudget")
        room = None if why else preemption.room(pod, nodes, found, self._namespace_labels, budgets)
        if room:
            self._preempt(pod, room)
            message = _available(found)
        elif missing:
            message = f"0/{len(nodes)} nodes are available: {missing}. {unschedulable(found).partition('. ')[2]}"
        else:
            message = unschedulable(found, why)
        if condition(pod, "PodScheduled").get("message") != message:
            self._recorder.event(pod, "Warning", "FailedScheduling", message)
        conditions.write(self._store, pod, conditions.make("PodScheduled", "False", "Unschedulable", message))

    def _preempt(self, pod: Raw, room: Room) -> None:
        why = f"{SCHEDULER}: preempting to accommodate a higher priority pod"
        disruption = conditions.make("DisruptionTarget", "True", "PreemptionByScheduler", why)
        for victim in (each for each in room.victims if not is_terminating(each)):
            conditions.write(self._store, victim, disruption)
            said = f"Preempted by pod {pod['metadata']['uid']} on node {room.node}"
            self._recorder.event(victim, "Normal", "Preempted", said)
            self._store.delete(*key_of(victim))
        for other in list(self._nominated.values()):  # the room is not theirs any more
            if other["status"]["nominatedNodeName"] == room.node and preemption.priority(other) < preemption.priority(
                pod
            ):
                self._store.update(*key_of(other), lambda raw: raw["status"].pop("nominatedNodeName"))
        self._store.update(*key_of(pod), lambda raw: raw["status"].update(nominatedNodeName=room.node))

    def _missing_claim(self, pod: Raw) -> str:
        """What the volume plugin says where a claim of the pod does not exist."""
        for volume in pod["spec"].get("volumes", ()):
            name = volume.get("persistentVolumeClaim", {}).get("claimName", "")
            if name and self._store.find("PersistentVolumeClaim", pod["metadata"]["namespace"], name) is None:
                return f'persistentvolumeclaim "{name}" not found'
        return ""

    def _namespace_labels(self, name: str) -> dict[str, str]:
        namespace = self._store.find("Namespace", "", name)
        found: dict[str, str] = namespace["metadata"].get("labels", {}) if namespace else {}
        return found


def _decisive(raw: Raw) -> tuple[object, ...]:
    """What of a node or pod decides which other pods have a place."""
    metadata, spec = raw["metadata"], raw.get("spec", {})
    if raw["kind"] == "Pod":
        return metadata.get("labels"), spec.get("nodeName"), has_ended(raw), is_terminating(raw)
    if raw["kind"] == "PersistentVolumeClaim":
        return ()
    return (
        metadata.get("labels"),
        spec.get("unschedulable"),
        spec.get("taints"),
        raw.get("status", {}).get("allocatable"),
    )


def _key(pod: Raw) -> str:
    return f"{2**31 - preemption.priority(pod):010d}/{name_of(pod)}"
