"""Which nodes a DaemonSet's pods belong on, and how such a pod names its node.

Source: NodeShouldRunDaemonPod in pkg/controller/daemon/daemon_controller.go; util/daemonset_util.go of v1.34.
"""

from __future__ import annotations

from typing import Any

from labkit.workloads import pods
from labkit.workloads.revisions import REVISION_LABEL
from labkit.workloads.scheduling import node_affinity, taints

Raw = dict[str, Any]

GENERATION_LABEL, GENERATION = "pod-template-generation", "deprecated.daemonset.template.generation"
PRESSURES = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def tolerations(spec: Raw) -> list[Raw]:
    """A pod's tolerations, and those of all daemons: a sick node needs them too."""
    found = list(spec.get("tolerations", ()))
    added = [(key, "NoExecute") for key in (taints.NOT_READY, taints.UNREACHABLE)]
    added += [(f"node.kubernetes.io/{name}", "NoSchedule") for name in PRESSURES]
    if spec.get("hostNetwork"):
        added.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    for key, effect in added:
        wanted = {"key": key, "operator": "Exists", "effect": effect}
        if wanted not in found:
            found.append(wanted)
    return found


def places(ds: Raw, node: Raw) -> tuple[bool, bool]:
    """(whether the node should get a pod, whether one that is there may stay)."""
    spec = ds["spec"]["template"]["spec"]
    named = spec.get("nodeName", "")
    if (named and named != node["metadata"]["name"]) or not node_affinity.matches(spec, node):
        return False, False
    tolerated = tolerations(spec)
    if taints.untolerated(node, tolerated) is None:
        return True, True
    return False, taints.untolerated(node, tolerated, ("NoExecute",)) is None


def new_pod(ds: Raw, node: str, digest: str) -> Raw:
    """A pod for this node, which the scheduler will bind there."""
    template = ds["spec"]["template"]
    labels = {REVISION_LABEL: digest}
    if generation := ds["metadata"].get("annotations", {}).get(GENERATION):
        labels[GENERATION_LABEL] = generation
    pod = pods.from_template(ds, template, labels=labels)
    affinity = pod["spec"].get("affinity") or {}
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    only = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    at_node = {**(affinity.get("nodeAffinity") or {}), REQUIRED: only}
    spec = {
        **pod["spec"],
        "affinity": {**affinity, "nodeAffinity": at_node},
        "tolerations": tolerations(template["spec"]),
    }
    return {**pod, "spec": spec}


def node_of(pod: Raw) -> str:
    """The node that the pod is on, or is meant for."""
    if name := pod["spec"].get("nodeName", ""):
        return str(name)
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED) or {}
    for term in required.get("nodeSelectorTerms", ()):
        for field in term.get("matchFields", ()):
            if field["key"] == "metadata.name" and len(field["values"]) == 1:
                return str(field["values"][0])
    return ""
