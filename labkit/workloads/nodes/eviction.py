"""Pods that leave their node: for a taint that they do not tolerate (for longer), or because it is no longer there.

Source: kubernetes/pkg/controller/tainteviction/taint_eviction.go, pkg/controller/podgc/gc_controller.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from labkit.control import conditions
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.workloads.nodes.pace import Pace
from labkit.workloads.ownership import key
from labkit.workloads.pods import has_ended, is_terminating
from labkit.workloads.scheduling import taints


class TaintEviction:
    """Deletes pods from nodes with NoExecute taints. Keys are `namespace/name` of pods."""

    name = "taint-eviction"
    kinds = frozenset({"Node", "Pod"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "taint-eviction-controller")
        self._seen: dict[str, datetime] = {}

    def keys(self, event: Event) -> Iterable[str]:
        raw = event.object
        if raw["kind"] == "Pod":
            node = self._store.find("Node", "", raw["spec"].get("nodeName", ""))
            return [key(raw)] if key(raw) in self._seen or (node and _deadly(node)) else []
        if event.old and taints.of(event.old) == taints.of(raw):
            return []
        return [key(pod) for pod in self._store.indexed("node", raw["metadata"]["name"])]

    def reconcile(self, key: str) -> float | None:
        """Delete the pod if its time has come; else say in how many seconds that is."""
        pod = self._store.find("Pod", *key.split("/"))
        if pod is None or is_terminating(pod):
            self._seen.pop(key, None)
            return None
        node = self._store.find("Node", "", pod["spec"].get("nodeName", ""))
        if node is None or not _deadly(node):
            self._seen.pop(key, None)
            return None
        now = self._store.now()
        left = _patience(pod, node, self._seen.setdefault(key, now), now)
        if left is None or left > 0:
            return left
        del self._seen[key]
        self._recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        why = "Taint manager: deleting due to NoExecute taint"
        conditions.write(self._store, pod, conditions.make("DisruptionTarget", "True", "DeletionByTaintManager", why))
        self._store.delete(*key_of(pod))
        return None


class PodGarbage:
    """Removes the pods of nodes that are not there, some time after those went. Keys are names of nodes."""

    name = "pod-garbage"
    kinds = frozenset({"Node", "Pod"})

    def __init__(self, store: Store, pace: Pace) -> None:
        self._store = store
        self._pace = pace
        self._missed: dict[str, datetime] = {}

    def keys(self, event: Event) -> Iterable[str]:
        raw = event.object
        name = raw["metadata"]["name"] if raw["kind"] == "Node" else raw["spec"].get("nodeName", "")
        return [name] if name and self._store.find("Node", "", name) is None else []

    def reconcile(self, key: str) -> float | None:
        pods = self._store.indexed("node", key)
        if self._store.find("Node", "", key) is not None or not pods:
            self._missed.pop(key, None)
            return None
        since = self._missed.setdefault(key, self._store.now())
        left = self._pace.quarantine - (self._store.now() - since).total_seconds()
        if left > 0:
            return left
        gone = conditions.make("DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")
        for pod in pods:
            if not has_ended(pod):
                conditions.write(self._store, pod, gone)
            self._store.delete(*key_of(pod), grace=0)
        return None


def _deadly(node: Raw) -> bool:
    return any(taint["effect"] == "NoExecute" for taint in taints.of(node))


def _patience(pod: Raw, node: Raw, seen: datetime, now: datetime) -> float | None:
    """Seconds that the pod may stay: 0 where something is not tolerated, None for as long as it likes.

    seen: when the taints were first seen, for those that do not say when they were added.
    """
    tolerations = pod["spec"].get("tolerations", ())
    if taints.untolerated(node, tolerations, ("NoExecute",)):
        return 0.0
    deadly = [taint for taint in taints.of(node) if taint["effect"] == "NoExecute"]
    limits = [
        each["tolerationSeconds"]
        for each in tolerations
        if "tolerationSeconds" in each and any(taints.tolerates(each, taint) for taint in deadly)
    ]
    if not limits:
        return None
    since = [datetime.fromisoformat(taint["timeAdded"]) for taint in deadly if "timeAdded" in taint]
    start = max(min(since, default=seen), datetime.fromisoformat(pod["metadata"]["creationTimestamp"]))
    return max(0.0, (start + timedelta(seconds=max(0, min(limits))) - now).total_seconds())
