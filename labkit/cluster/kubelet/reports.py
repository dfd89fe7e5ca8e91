"""What the kubelets have to say of pods, written into the store: statuses and Events, what comes together in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from labkit.cluster.kubelet.status import Told, status
from labkit.cluster.work import Work
from labkit.control.deletion import timestamp
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store

COMPONENT = "kubelet"


class Reports:
    """The pods are named by uid and by key ("namespace/name"): another one may have the name by now."""

    def __init__(self, store: Store, work: Work, nodes: Sequence[str]) -> None:
        self._store = store
        self._work = work
        self._recorders = {node: Recorder(store, COMPONENT, node) for node in nodes}
        self._statuses: dict[str, tuple[str, Told]] = {}
        self._events: list[tuple[str, str, tuple[str, str, str, str]]] = []
        self._due = False
        self.written: Callable[[str, Raw], None] = lambda uid, pod: None

    def status(self, uid: str, key: str, told: Told) -> None:
        """What is known of a pod by now; it replaces what has been told and not been written yet."""
        self._statuses[uid] = key, told
        self._soon()

    def event(self, uid: str, key: str, container: str, kind: str, reason: str, message: str) -> None:
        """Something happened to a pod, or to one of its containers."""
        self._events.append((uid, key, (container, kind, reason, message)))
        self._soon()

    def flush(self) -> None:
        """Write what has been told."""
        self._due = False
        statuses, self._statuses = self._statuses, {}
        events, self._events = self._events, []
        written = []
        with self._store.transaction():
            for uid, key, said in events:
                if pod := self.find(uid, key):
                    self._record(pod, *said)
            for uid, (key, told) in statuses.items():
                if pod := self.find(uid, key):
                    written.append((uid, self._write(pod, told)))
        for uid, pod in written:
            self.written(uid, pod)

    def find(self, uid: str, key: str) -> Raw | None:
        """The pod's object, unless it has gone meanwhile."""
        namespace, name = key.split("/")
        found = self._store.find("Pod", namespace, name)
        return found if found and found["metadata"]["uid"] == uid else None

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            self._work.start(self._flush())

    async def _flush(self) -> None:
        self.flush()

    def _write(self, pod: Raw, told: Told) -> Raw:
        found = status(pod, told, timestamp(self._store.now()))

        def change(raw: Raw) -> None:
            raw["status"] = {**raw.get("status", {}), **found}

        return self._store.update("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"], change)

    def _record(self, pod: Raw, container: str, kind: str, reason: str, message: str) -> None:
        field = ""
        if container:
            init = any(c["name"] == container for c in pod["spec"].get("initContainers") or ())
            field = f"spec.{'initContainers' if init else 'containers'}{{{container}}}"
        recorder = self._recorders.get(pod["spec"].get("nodeName", ""))
        if recorder:
            recorder.event(pod, kind, reason, message, field)
