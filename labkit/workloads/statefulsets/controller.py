"""StatefulSet -> pods with lasting names, one after the other, each with claims of its own.

Source: kubernetes/pkg/controller/statefulset (stateful_set.go, stateful_set_control.go, stateful_pod_control.go) of
v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from labkit.control.namespaces import leaving
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.errors import ApiError
from labkit.workloads import pods
from labkit.workloads.making import Create
from labkit.workloads.ownership import claim, controllers, key, owners
from labkit.workloads.revisions import History, template_of
from labkit.workloads.statefulsets import identity
from labkit.workloads.statefulsets.plan import Situation, Step, counts, steps

HASH_LABEL = "controller.kubernetes.io/hash"


class StatefulSets:
    """Keeps the pods of StatefulSets. Keys are `namespace/name`."""

    name = "statefulset"
    kinds = frozenset({"Pod", "StatefulSet"})

    def __init__(self, store: Store, create: Create) -> None:
        self._store = store
        self._create = create
        self._recorder = Recorder(store, "statefulset-controller")
        self._history = History(store, HASH_LABEL)
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Pod":
            return owners(self._store, "StatefulSet", event)
        return [key(event.object)]

    def reconcile(self, key: str) -> float | None:
        """Take the next steps, then write the status. Returns when the next pod becomes available by age alone."""
        namespace, _, name = key.partition("/")
        sts = self._store.find("StatefulSet", namespace, name)
        if sts is None or "deletionTimestamp" in sts["metadata"] or leaving(self._store, namespace):
            return None
        update = self._history.current(sts)
        current = self._current(sts, update)
        owned = claim(self._store, sts, "Pod", sts["spec"]["selector"])
        found = {number: pod for pod in owned if (number := identity.ordinal(sts, pod)) is not None}
        again, available = self._availability(sts, found)
        now = Situation(sts, found, available, update["metadata"]["name"])
        self._own_claims(sts, found)
        templates = {True: update, False: current}
        for step in steps(now):
            self._do(sts, step, found, templates)
        self._write_status(sts, found, len(available), current["metadata"]["name"], update["metadata"]["name"])
        return again

    def _current(self, sts: Raw, update: Raw) -> Raw:
        """The revision that all pods had before the update, kept until the update is complete."""
        name = sts.get("status", {}).get("currentRevision", "")
        found = self._store.find("ControllerRevision", sts["metadata"]["namespace"], name)
        return found or update

    def _availability(self, sts: Raw, found: Mapping[int, Raw]) -> tuple[float | None, frozenset[int]]:
        now, seconds = self._store.now(), sts["spec"].get("minReadySeconds", 0)
        waits = {
            number: pods.available_in(pod, seconds, now)
            for number, pod in found.items()
            if pods.phase(pod) == "Running"
        }
        later = [wait for wait in waits.values() if wait]
        return min(later, default=None), frozenset(number for number, wait in waits.items() if wait == 0)

    def _do(self, sts: Raw, step: Step, found: Mapping[int, Raw], templates: Mapping[bool, Raw]) -> None:
        if step.do == "create":
            revision = templates[step.newest]
            pod = identity.new_pod(sts, template_of(revision), step.ordinal, revision["metadata"]["name"])
            self._make(sts, pod, step.ordinal)
            return
        pod = found[step.ordinal]
        if step.do == "recreate":
            failed = pods.phase(pod) == "Failed"
            kind, reason = ("Warning", "RecreatingFailedPod") if failed else ("Normal", "RecreatingTerminatedPod")
            state = "failed" if failed else "terminated"
            said = f"StatefulSet {key(sts)} is recreating {state} Pod {pod['metadata']['name']}"
            self._recorder.event(sts, kind, reason, said)
        self._store.delete(*key_of(pod))
        self._say(sts, "Normal", "SuccessfulDelete", f"delete Pod {pod['metadata']['name']}", "successful")

    def _make(self, sts: Raw, pod: Raw, number: int) -> None:
        name = pod["metadata"]["name"]
        for claimed in identity.new_claims(sts, number):
            if self._store.find(*key_of(claimed)) is None:
                self._make_claim(sts, claimed, name)
        try:
            self._create(pod)
        except ApiError as error:
            self._say(sts, "Warning", "FailedCreate", f"create Pod {name}", f"failed error: {error}")
            raise
        self._say(sts, "Normal", "SuccessfulCreate", f"create Pod {name}", "successful")

    def _make_claim(self, sts: Raw, claimed: Raw, pod: str) -> None:
        what = f"create Claim {claimed['metadata']['name']} Pod {pod}"
        refs = identity.claim_owners(sts, None, claimed, condemned=False)
        owned = {**claimed, "metadata": {**claimed["metadata"], **({"ownerReferences": refs} if refs else {})}}
        try:
            self._create(owned)
        except ApiError as error:
            self._say(sts, "Warning", "FailedCreate", what, f"failed error: {error}")
            raise
        self._say(sts, "Normal", "SuccessfulCreate", what, "success")

    def _own_claims(self, sts: Raw, found: Mapping[int, Raw]) -> None:
        """Let each claim belong to whom the retention policy names."""
        wanted = identity.ordinals(sts)
        for number, pod in found.items():
            for planned in identity.new_claims(sts, number):
                if (stored := self._store.find(*key_of(planned))) is not None:
                    refs = identity.claim_owners(sts, pod, stored, condemned=number not in wanted)
                    if refs != stored["metadata"].get("ownerReferences", []):
                        self._store.update(*key_of(stored), partial(_own, refs))

    def _write_status(self, sts: Raw, found: Mapping[int, Raw], available: int, current: str, update: str) -> None:
        status = counts(sts, list(found.values()), available, current, update)
        replicas = sts["spec"].get("replicas", 1)
        rolled = status["replicas"] == replicas == status.get("updatedReplicas", 0) == status.get("readyReplicas", 0)
        if rolled and sts["spec"].get("updateStrategy", {}).get("type") != "OnDelete":
            status["currentRevision"] = update
            if replicas:
                status["currentReplicas"] = status["updatedReplicas"]
        self._store.replace_status({**sts, "status": status})
        used = {identity.revision(pod) for pod in found.values()} | {status["currentRevision"], update}
        self._history.truncate(sts, used)

    def _say(self, sts: Raw, kind: str, reason: str, what: str, end: str) -> None:
        said = f"{what} in StatefulSet {sts['metadata']['name']} {end}"
        self._recorder.event(sts, kind, reason, said)


def _own(refs: list[Raw], raw: Raw) -> None:
    raw["metadata"]["ownerReferences"] = refs
    if not refs:
        del raw["metadata"]["ownerReferences"]
