"""Job -> pods that run to their end; and Jobs that go some time after theirs.

Source: kubernetes/pkg/controller/job/job_controller.go, pkg/controller/ttlafterfinished of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from labkit.control.namespaces import leaving
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.workloads import pods
from labkit.workloads.jobs import indexes, selector
from labkit.workloads.jobs.plan import FINAL, Outcome, is_finished, plan
from labkit.workloads.jobs.pods import is_tracked
from labkit.workloads.jobs.selector import FINALIZER
from labkit.workloads.jobs.tally import INDEX_FAILURES, index_failures
from labkit.workloads.making import Create, PodControl
from labkit.workloads.ownership import claim, controller_of, controllers, key, owners


class Jobs:
    """Runs Jobs. Keys are `namespace/name`.

    A pod is counted and released (it loses its finalizer) in the same transaction in which the status counts it.
    """

    name = "job"
    kinds = frozenset({"Job", "Pod"})

    def __init__(self, store: Store, create: Create) -> None:
        self._store = store
        self._pods = PodControl(store, create, "job-controller")
        store.completing["Job"] = selector.complete
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Pod":
            return owners(self._store, "Job", event)
        return [key(event.object)]

    def reconcile(self, key: str) -> float | None:
        """Take the next step. Returns when to look again though nothing changes."""
        namespace, _, name = key.partition("/")
        job = self._store.find("Job", namespace, name)
        if job is None:
            self._release_orphans(namespace, name)
            return None
        found = claim(self._store, job, "Pod", job["spec"].get("selector", {}))
        if "deletionTimestamp" in job["metadata"] or is_finished(job) or leaving(self._store, namespace):
            self._release(found)
            return None
        outcome = plan(job, found, self._store.now())
        with self._store.transaction():
            self._release([*outcome.counted, *outcome.drop])
            self._store.replace_status({**job, "status": outcome.status})
        self._apply(job, outcome, found)
        return outcome.again

    def _apply(self, job: Raw, outcome: Outcome, found: Sequence[Raw]) -> None:
        for each in outcome.said:
            self._pods.recorder.event(job, *each)
        for pod in (*outcome.drop, *outcome.kill):
            self._pods.delete(job, pod)
        for index in outcome.create:
            self._pods.create(job, self._new_pod(job, index, found))

    def _new_pod(self, job: Raw, index: int | None, found: Sequence[Raw]) -> Raw:
        pod = pods.from_template(job, job["spec"]["template"])
        metadata = pod["metadata"]
        metadata["finalizers"] = [*metadata.get("finalizers", ()), FINALIZER]
        if index is None:
            return pod
        pod = indexes.indexed_pod(pod, job, index)
        if "backoffLimitPerIndex" in job["spec"]:
            pod["metadata"]["annotations"][INDEX_FAILURES] = str(index_failures(found, index))
        return pod

    def _release(self, found: Iterable[Raw]) -> None:
        """Track these pods no longer: what is being deleted may go."""
        for pod in found:
            if is_tracked(pod):
                self._store.update(*key_of(pod), _untrack)

    def _release_orphans(self, namespace: str, name: str) -> None:
        """Let go of the pods of a Job that is not there."""
        for pod in self._store.list("Pod", namespace):
            owner = controller_of(pod)
            if owner and (owner["kind"], owner["name"]) == ("Job", name):
                self._release([pod])


class FinishedJobs:
    """Deletes Jobs `ttlSecondsAfterFinished` seconds after their end. Keys are `namespace/name`."""

    name = "ttl-after-finished"
    kinds = frozenset({"Job"})

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        return [key(event.object)] if "ttlSecondsAfterFinished" in event.object["spec"] else []

    def reconcile(self, key: str) -> float | None:
        """Delete the Job if its time has come; else say in how many seconds that is."""
        namespace, _, name = key.partition("/")
        job = self._store.find("Job", namespace, name)
        if job is None or "deletionTimestamp" in job["metadata"] or not is_finished(job):
            return None
        ends = [
            datetime.fromisoformat(c["lastTransitionTime"])
            for kind in FINAL.values()
            if (c := pods.condition(job, kind)).get("status") == "True"
        ]
        due = max(ends) + timedelta(seconds=job["spec"].get("ttlSecondsAfterFinished", 0))
        left = (due - self._store.now()).total_seconds()
        if left > 0:
            return left
        self._store.delete("Job", namespace, name, propagation="Foreground")
        return None


def _untrack(pod: Raw) -> None:
    pod["metadata"]["finalizers"].remove(FINALIZER)
    if not pod["metadata"]["finalizers"]:
        del pod["metadata"]["finalizers"]
