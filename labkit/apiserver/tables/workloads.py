"""The tables of what makes pods, or guards them: Deployments to CronJobs, revisions, disruption budgets.

Source: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver.tables.columns import AGE, CONTAINERS, IMAGES, NAME, Column, Printer, View, wide
from labkit.apiserver.tables.human import duration, moment, since
from labkit.apiserver.tables.words import NONE, UNSET, containers, holds, labels, selector, selector_or_none

Raw = dict[str, Any]
NUMBER = "integer"
READY = Column("Ready", text="Number of the pod with ready state")


def _parts(o: Raw, view: View) -> tuple[str, Raw, Raw, str]:
    """Name, spec, status, age."""
    meta = o["metadata"]
    age = since(meta.get("creationTimestamp"), view.now)
    return meta["name"], o.get("spec") or {}, o.get("status") or {}, age


def _deployment(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    counts = [status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [name, ready, *counts, age, *containers(spec.get("template")), selector(spec.get("selector"))]


def _replica_set(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    counts = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [name, *counts, age, *containers(spec.get("template")), selector_or_none(spec.get("selector"))]


def _stateful_set(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    return [name, ready, age, *containers(spec.get("template"))]


_DAEMON_COUNTS = {
    "Desired": "desiredNumberScheduled",
    "Current": "currentNumberScheduled",
    "Ready": "numberReady",
    "Up-to-date": "updatedNumberScheduled",
    "Available": "numberAvailable",
}


def _daemon_set(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    counts = [status.get(field, 0) for field in _DAEMON_COUNTS.values()]
    template = spec.get("template") or {}
    nodes = labels((template.get("spec") or {}).get("nodeSelector"))
    return [name, *counts, nodes, age, *containers(template), selector_or_none(spec.get("selector"))]


def _job(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    done, parallelism = status.get("succeeded", 0), spec.get("parallelism") or 0
    completions = spec.get("completions")
    if completions is not None:
        progress = f"{done}/{completions}"
    else:
        progress = f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"
    started, ended = moment(status.get("startTime")), moment(status.get("completionTime"))
    took = "" if started is None else duration((view.now if ended is None else ended) - started)
    template = spec.get("template")
    return [
        name,
        _job_status(o["metadata"], status),
        progress,
        took,
        age,
        *containers(template),
        selector_or_none(spec.get("selector")),
    ]


def _job_status(meta: Raw, status: Raw) -> str:
    for kind in ("Complete", "Failed"):
        if holds(status, kind):
            return kind
    if meta.get("deletionTimestamp"):
        return "Terminating"
    for kind in ("Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if holds(status, kind):
            return kind
    return "Running"


def _cron_job(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    last = status.get("lastScheduleTime")
    suspend = spec.get("suspend")
    job = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        name,
        spec.get("schedule", ""),
        spec.get("timeZone") or NONE,
        UNSET if suspend is None else str(suspend),
        len(status.get("active") or ()),
        since(last, view.now) if last else NONE,
        age,
        *containers(job.get("template")),
        selector_or_none(job.get("selector")),
    ]


def _disruption_budget(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    bounds = [str(spec.get(field, "N/A")) for field in ("minAvailable", "maxUnavailable")]
    return [name, *bounds, status.get("disruptionsAllowed", 0), age]


def _revision(o: Raw, view: View) -> list[Any]:
    name, _, _, age = _parts(o, view)
    owner = next((r for r in o["metadata"].get("ownerReferences") or () if r.get("controller")), None)
    controller = NONE
    if owner:
        group = owner["apiVersion"].rpartition("/")[0]
        kind = f"{owner['kind']}.{group}" if group else owner["kind"]
        controller = f"{kind.lower()}/{owner['name']}"
    return [name, controller, o.get("revision", 0), age]


def _scale(o: Raw, view: View) -> list[Any]:
    name, spec, status, age = _parts(o, view)
    return [name, spec.get("replicas", 0), status.get("replicas", 0), age]


def _replicas(kind: str) -> tuple[Column, ...]:
    return (
        Column("Desired", f"apps.v1.{kind}Spec.replicas", type=NUMBER),
        Column("Current", f"apps.v1.{kind}Status.replicas", type=NUMBER),
        Column("Ready", f"apps.v1.{kind}Status.readyReplicas", type=NUMBER),
    )


def _template(of: str) -> tuple[Column, ...]:
    """The columns about a pod template; `of` is the description of its selector."""
    return (CONTAINERS, IMAGES, wide("Selector", of))


DEPLOYMENT = (
    NAME,
    READY,
    Column("Up-to-date", "apps.v1.DeploymentStatus.updatedReplicas"),
    Column("Available", "apps.v1.DeploymentStatus.availableReplicas"),
    AGE,
    *_template("apps.v1.DeploymentSpec.selector"),
)
DAEMON_SET = (
    NAME,
    *(Column(name, f"apps.v1.DaemonSetStatus.{field}", type=NUMBER) for name, field in _DAEMON_COUNTS.items()),
    Column("Node Selector", "core.v1.PodSpec.nodeSelector"),
    AGE,
    *_template("apps.v1.DaemonSetSpec.selector"),
)
JOB = (
    NAME,
    Column("Status", text="Status of the job."),
    Column("Completions", "batch.v1.JobStatus.succeeded"),
    Column("Duration", text="Time required to complete the job."),
    AGE,
    *_template("batch.v1.JobSpec.selector"),
)
CRON_JOB = (
    NAME,
    Column("Schedule", "batch.v1.CronJobSpec.schedule"),
    Column("Timezone", "batch.v1.CronJobSpec.timeZone"),
    Column("Suspend", "batch.v1.CronJobSpec.suspend", type="boolean"),
    Column("Active", "batch.v1.CronJobStatus.active", type=NUMBER),
    Column("Last Schedule", "batch.v1.CronJobStatus.lastScheduleTime"),
    AGE,
    *_template("batch.v1.JobSpec.selector"),
)
DISRUPTION_BUDGET = (
    NAME,
    Column("Min Available", text="The minimum number of pods that must be available."),
    Column("Max Unavailable", text="The maximum number of pods that may be unavailable."),
    Column("Allowed Disruptions", text="Calculated number of pods that may be disrupted at this time.", type=NUMBER),
    AGE,
)
REVISION = (
    NAME,
    Column("Controller", text="Controller of the object"),
    Column("Revision", "apps.v1.ControllerRevision.revision"),
    AGE,
)
SCALE = (
    Column("Name", "meta.v1.ObjectMeta.name"),
    Column("Desired", "autoscaling.v1.ScaleSpec.replicas", type=NUMBER),
    Column("Available", "autoscaling.v1.ScaleStatus.replicas", type=NUMBER),
    AGE,
)

PRINTERS = {
    "Deployment": Printer(DEPLOYMENT, _deployment),
    "ReplicaSet": Printer(
        (NAME, *_replicas("ReplicaSet"), AGE, *_template("apps.v1.ReplicaSetSpec.selector")), _replica_set
    ),
    "StatefulSet": Printer((NAME, READY, AGE, CONTAINERS, IMAGES), _stateful_set),
    "DaemonSet": Printer(DAEMON_SET, _daemon_set),
    "Job": Printer(JOB, _job),
    "CronJob": Printer(CRON_JOB, _cron_job),
    "PodDisruptionBudget": Printer(DISRUPTION_BUDGET, _disruption_budget),
    "ControllerRevision": Printer(REVISION, _revision),
    "Scale": Printer(SCALE, _scale),
}
