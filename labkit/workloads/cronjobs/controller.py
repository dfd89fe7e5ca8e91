"""CronJob -> a Job at each time of its schedule.

Source: kubernetes/pkg/controller/cronjob/cronjob_controllerv2.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from labkit.control.deletion import timestamp
from labkit.control.namespaces import leaving
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, copy, key_of
from labkit.control.watch import Event
from labkit.errors import ApiError
from labkit.workloads.cronjobs.due import TOO_MANY, due, next_in, zone_of
from labkit.workloads.cronjobs.schedule import parse
from labkit.workloads.making import Create
from labkit.workloads.ownership import controller_of, controllers, key, owners, reference
from labkit.workloads.pods import condition

RFC1123 = "%a, %d %b %Y %H:%M:%S +0000"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MISSED = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
FORBIDDEN = "Not starting job because prior execution is running and concurrency policy is Forbid"


class CronJobs:
    """Starts Jobs and keeps their history short. Keys are `namespace/name`."""

    name = "cronjob"
    kinds = frozenset({"CronJob", "Job"})

    def __init__(self, store: Store, create: Create) -> None:
        self._store = store
        self._create = create
        self._recorder = Recorder(store, "cronjob-controller")
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Job":
            owner = controller_of(event.object)
            return owners(self._store, "CronJob", event) if owner else []
        return [key(event.object)]

    def reconcile(self, key: str) -> float | None:
        """Start what is due, forget what is over. Returns when the next run is due."""
        namespace, _, name = key.partition("/")
        cron = self._store.find("CronJob", namespace, name)
        if cron is None or leaving(self._store, namespace):
            return None
        jobs = [job for job in self._store.indexed("controller", cron["metadata"]["uid"]) if job["kind"] == "Job"]
        status = copy(cron.get("status", {}))
        self._forget(cron, jobs)
        self._follow(cron, jobs, status)
        again = None
        if "deletionTimestamp" not in cron["metadata"] and not cron["spec"].get("suspend"):
            again = self._run(cron, status)
        if not status.get("active"):
            status.pop("active", None)
        self._store.replace_status({**cron, "status": status})
        return again

    def _forget(self, cron: Raw, jobs: Sequence[Raw]) -> None:
        """Delete the oldest finished Jobs beyond the limits."""
        for kind, field, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            ended = [job for job in jobs if _is(job, kind) and "deletionTimestamp" not in job["metadata"]]
            ended.sort(key=lambda job: (job["status"].get("startTime", ""), job["metadata"]["name"]))
            for job in ended[: max(0, len(ended) - cron["spec"].get(field, default))]:
                self._delete(cron, job)

    def _follow(self, cron: Raw, jobs: Sequence[Raw], status: Raw) -> None:
        """Keep the list of active Jobs, and the time of the last success."""
        active = {ref["uid"]: ref for ref in status.get("active", ()) if "uid" in ref}
        for job in jobs:
            uid, name = job["metadata"]["uid"], job["metadata"]["name"]
            over = next((kind for kind in ("Complete", "Failed") if _is(job, kind)), "")
            if uid not in active and not over:
                said = f"Saw a job that the controller did not create or forgot: {name}"
                self._recorder.event(cron, "Warning", "UnexpectedJob", said)
            elif uid in active and over:
                del active[uid]
                said = f"Saw completed job: {name}, condition: {over}"
                self._recorder.event(cron, "Normal", "SawCompletedJob", said)
            if over == "Complete" and (ended := job["status"].get("completionTime")):
                status["lastSuccessfulTime"] = max(status.get("lastSuccessfulTime", ""), ended)
        for uid in set(active) - {job["metadata"]["uid"] for job in jobs}:
            said = f"Active job went missing: {active.pop(uid)['name']}"
            self._recorder.event(cron, "Normal", "MissingJob", said)
        status["active"] = list(active.values())

    def _run(self, cron: Raw, status: Raw) -> float | None:
        """Start the run that is due, if any; returns when the next one is."""
        try:
            zone = zone_of(cron)
        except ValueError as error:
            self._recorder.event(cron, "Warning", "UnknownTimeZone", str(error))
            return None
        try:
            schedule = parse(cron["spec"]["schedule"])
        except ValueError as error:
            said = f'unparseable schedule: "{cron["spec"]["schedule"]}" : {error}'
            self._recorder.event(cron, "Warning", "UnparseableSchedule", said)
            return None
        now = self._store.now()
        found = due({**cron, "status": status}, schedule, zone, now)
        if found.missed > TOO_MANY:
            self._recorder.event(cron, "Warning", "TooManyMissedTimes", MISSED)
        if found.run is not None:
            self._start(cron, status, found.run, now)
        return next_in(schedule, zone, now)

    def _start(self, cron: Raw, status: Raw, time: datetime, now: datetime) -> None:
        deadline = cron["spec"].get("startingDeadlineSeconds")
        if deadline is not None and time + timedelta(seconds=deadline) < now:
            said = f"Missed scheduled time to start a job: {time:{RFC1123}}"
            self._recorder.event(cron, "Warning", "MissSchedule", said)
            return
        policy = cron["spec"].get("concurrencyPolicy", "Allow")
        if policy == "Forbid" and status["active"]:
            self._recorder.event(cron, "Normal", "JobAlreadyActive", FORBIDDEN)
            return
        if policy == "Replace":
            for ref in status["active"]:
                self._delete(cron, self._store.get("Job", ref["namespace"], ref["name"]))
            status["active"] = []
        planned = new_job(cron, time)
        try:
            # It may be there already: made just before the end of a lab that has come back since.
            job = self._store.find(*key_of(planned)) or self._create(planned)
        except ApiError as error:
            self._recorder.event(cron, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        self._recorder.event(cron, "Normal", "SuccessfulCreate", f"Created job {job['metadata']['name']}")
        metadata = job["metadata"]
        named = {field: metadata[field] for field in ("namespace", "name", "uid", "resourceVersion")}
        status["active"].append({"kind": "Job", "apiVersion": "batch/v1", **named})
        status["lastScheduleTime"] = timestamp(time)

    def _delete(self, cron: Raw, job: Raw) -> None:
        self._store.delete("Job", job["metadata"]["namespace"], job["metadata"]["name"], propagation="Background")
        self._recorder.event(cron, "Normal", "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")


def new_job(cron: Raw, time: datetime) -> Raw:
    """The Job of one run; its name tells the run's time in minutes since 1970."""
    template = cron["spec"]["jobTemplate"]
    given = template.get("metadata", {})
    metadata = {
        "name": f"{cron['metadata']['name']}-{int(time.timestamp()) // 60}",
        "namespace": cron["metadata"]["namespace"],
        "labels": given.get("labels", {}),
        "annotations": {**given.get("annotations", {}), SCHEDULED: timestamp(time)},
        "ownerReferences": [reference(cron)],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def _is(job: Raw, kind: str) -> bool:
    return bool(condition(job, kind).get("status") == "True")
