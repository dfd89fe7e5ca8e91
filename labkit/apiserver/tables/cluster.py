"""The tables of the cluster itself: nodes, namespaces, events, priorities, quotas, leases, served APIs.

Source: pkg/printers/internalversion/printers.go; kube-aggregator/pkg/registry/apiservice/rest (APIService).
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver.tables.columns import AGE, NAME, Column, Printer, View, wide
from labkit.apiserver.tables.human import since
from labkit.apiserver.tables.words import NONE, condition, first

Raw = dict[str, Any]
ROLE = "node-role.kubernetes.io/"
UNKNOWN = "<unknown>"


def _age(o: Raw, view: View) -> str:
    return since(o["metadata"].get("creationTimestamp"), view.now)


def _node(o: Raw, view: View) -> list[Any]:
    status = o.get("status") or {}
    info = status.get("nodeInfo") or {}
    ready = condition(status, "Ready")
    states = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if (o.get("spec") or {}).get("unschedulable"):
        states.append("SchedulingDisabled")
    labels = o["metadata"].get("labels") or {}
    roles = {key.removeprefix(ROLE) for key in labels if key.startswith(ROLE)} | {labels.get("kubernetes.io/role", "")}
    addresses = {a.get("type"): a.get("address", "") for a in reversed(status.get("addresses") or [])}
    software = [info.get(field) or UNKNOWN for field in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    return [
        o["metadata"]["name"],
        ",".join(states),
        ",".join(sorted(roles - {""})) or NONE,
        _age(o, view),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        *software,
    ]


def _namespace(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], (o.get("status") or {}).get("phase", ""), _age(o, view)]


def _event(o: Raw, view: View) -> list[Any]:
    """A row of an Event, whichever of its two versions it is written in."""
    about = o.get("involvedObject") or o.get("regarding") or {}
    source = o.get("source") or o.get("deprecatedSource") or {}
    series = o.get("series")
    seen_first = first([o.get("firstTimestamp"), o.get("deprecatedFirstTimestamp"), o.get("eventTime")])
    seen_last = first([o.get("lastTimestamp"), o.get("deprecatedLastTimestamp"), seen_first])
    count = o.get("count") or o.get("deprecatedCount") or 1
    if series:
        seen_last, count = series.get("lastObservedTime", ""), series.get("count", 0)
    kind = about.get("kind", "").lower()
    reporter = [
        first([source.get("component"), o.get("reportingComponent"), o.get("reportingController")]),
        first([source.get("host"), o.get("reportingInstance")]),
    ]
    return [
        since(seen_last, view.now),
        o.get("type", ""),
        o.get("reason", ""),
        f"{kind}/{about['name']}" if about.get("name") else kind,
        about.get("fieldPath", ""),
        ", ".join(reporter) if reporter[1] else reporter[0],
        first([o.get("message"), o.get("note")]).strip(),
        since(seen_first, view.now),
        count,
        o["metadata"]["name"],
    ]


def _priority(o: Raw, view: View) -> list[Any]:
    policy = o.get("preemptionPolicy", "PreemptLowerPriority")
    return [o["metadata"]["name"], o.get("value", 0), bool(o.get("globalDefault")), _age(o, view), policy]


def _quota(o: Raw, view: View) -> list[Any]:
    status = o.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    texts = {name: f"{name}: {used.get(name, '0')}/{hard[name]}" for name in sorted(hard)}
    limits = [text for name, text in texts.items() if name.startswith("limits.")]
    requests = [text for name, text in texts.items() if not name.startswith("limits.")]
    return [o["metadata"]["name"], ", ".join(requests), ", ".join(limits), _age(o, view)]


def _lease(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], (o.get("spec") or {}).get("holderIdentity", ""), _age(o, view)]


def _api_service(o: Raw, view: View) -> list[Any]:
    served = (o.get("spec") or {}).get("service")
    service = f"{served.get('namespace', '')}/{served.get('name', '')}" if served else "Local"
    available = condition(o.get("status") or {}, "Available")
    state = "Unknown"
    if available:
        held = available.get("status", "")
        state = "True" if held == "True" else f"{held} ({available.get('reason', '')})"
    return [o["metadata"]["name"], service, state, _age(o, view)]


NODE = (
    NAME,
    Column("Status", text="The status of the node"),
    Column("Roles", text="The roles of the node"),
    AGE,
    Column("Version", "core.v1.NodeSystemInfo.kubeletVersion"),
    wide("Internal-IP", "core.v1.NodeStatus.addresses"),
    wide("External-IP", "core.v1.NodeStatus.addresses"),
    wide("OS-Image", "core.v1.NodeSystemInfo.osImage"),
    wide("Kernel-Version", "core.v1.NodeSystemInfo.kernelVersion"),
    wide("Container-Runtime", "core.v1.NodeSystemInfo.containerRuntimeVersion"),
)
EVENT = (
    Column("Last Seen", "core.v1.Event.lastTimestamp"),
    Column("Type", "core.v1.Event.type"),
    Column("Reason", "core.v1.Event.reason"),
    Column("Object", "core.v1.Event.involvedObject"),
    wide("Subobject", "core.v1.ObjectReference.fieldPath"),
    wide("Source", "core.v1.Event.source"),
    Column("Message", "core.v1.Event.message"),
    wide("First Seen", "core.v1.Event.firstTimestamp"),
    wide("Count", "core.v1.Event.count"),
    Column("Name", "meta.v1.ObjectMeta.name", format="name", wide=True),
)
PRIORITY = (
    NAME,
    Column("Value", "scheduling.v1.PriorityClass.value", type="integer"),
    Column("Global-Default", "scheduling.v1.PriorityClass.globalDefault", type="boolean"),
    AGE,
    Column("PreemptionPolicy", "scheduling.v1.PriorityClass.preemptionPolicy"),
)
QUOTA = (
    NAME,
    Column("Request", text="Request represents a minimum amount of cpu/memory that a container may consume."),
    Column(
        "Limit",
        text="Limits control the maximum amount of cpu/memory that a container may use independent of contention on "
        "the node.",
    ),
    AGE,
)
API_SERVICE = (
    NAME,
    Column("Service", text="The reference to the service that hosts this API endpoint."),
    Column("Available", text="Whether this service is available."),
    AGE,
)

PRINTERS = {
    "Node": Printer(NODE, _node),
    "Namespace": Printer((NAME, Column("Status", text="The status of the namespace"), AGE), _namespace),
    "Event": Printer(EVENT, _event),
    "PriorityClass": Printer(PRIORITY, _priority),
    "ResourceQuota": Printer(QUOTA, _quota),
    "Lease": Printer((NAME, Column("Holder", "coordination.v1.LeaseSpec.holderIdentity"), AGE), _lease),
    "APIService": Printer(API_SERVICE, _api_service),
}
