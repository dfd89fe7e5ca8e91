"""Who a StatefulSet's pod is: its ordinal, its name, its labels, its revision, its claims.

Source: kubernetes/pkg/controller/statefulset/stateful_set_utils.go of v1.34.
"""

from __future__ import annotations

from typing import Any

from labkit.workloads import pods
from labkit.workloads.ownership import reference
from labkit.workloads.revisions import REVISION_LABEL

Raw = dict[str, Any]

NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


def ordinal(sts: Raw, pod: Raw) -> int | None:
    """The pod's number by its name; None for a name that is none of this set's."""
    prefix, dash, number = pod["metadata"]["name"].rpartition("-")
    if not dash or prefix != sts["metadata"]["name"] or not number.isdecimal():
        return None
    return int(number)


def ordinals(sts: Raw) -> range:
    """The numbers that the set's pods have."""
    start: int = sts["spec"].get("ordinals", {}).get("start", 0)
    return range(start, start + sts["spec"].get("replicas", 1))


def pod_name(sts: Raw, number: int) -> str:
    return f"{sts['metadata']['name']}-{number}"


def revision(pod: Raw) -> str:
    found: str = pod["metadata"].get("labels", {}).get(REVISION_LABEL, "")
    return found


def new_pod(sts: Raw, template: Raw, number: int, revision_name: str) -> Raw:
    name = pod_name(sts, number)
    labels = {NAME_LABEL: name, INDEX_LABEL: str(number), REVISION_LABEL: revision_name}
    pod = pods.from_template(sts, template, name, labels)
    spec = {**pod["spec"], "hostname": name, "subdomain": sts["spec"].get("serviceName", "")}
    if wanted := sts["spec"].get("volumeClaimTemplates"):
        own = {claim["metadata"]["name"] for claim in wanted}
        volumes = [
            {
                "name": claim["metadata"]["name"],
                "persistentVolumeClaim": {"claimName": claim_name(sts, claim, number)},
            }
            for claim in wanted
        ]
        spec["volumes"] = [*volumes, *(v for v in spec.get("volumes", ()) if v["name"] not in own)]
    return {**pod, "spec": spec}


def claim_name(sts: Raw, claim: Raw, number: int) -> str:
    return f"{claim['metadata']['name']}-{pod_name(sts, number)}"


def new_claims(sts: Raw, number: int) -> list[Raw]:
    """The PersistentVolumeClaims of one pod."""
    found = []
    for claim in sts["spec"].get("volumeClaimTemplates", ()):
        given = claim["metadata"]
        labels = {**given.get("labels", {}), **sts["spec"]["selector"].get("matchLabels", {})}
        metadata = {
            **{field: given[field] for field in ("annotations",) if field in given},
            "name": claim_name(sts, claim, number),
            "namespace": sts["metadata"]["namespace"],
            "labels": labels,
        }
        found.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim["spec"]})
    return found


def claim_owners(sts: Raw, pod: Raw | None, claim: Raw, *, condemned: bool) -> list[Raw]:
    """The ownerReferences of a claim by the set's retention policy: who takes it along when it goes.

    With whenScaled Delete, a pod that is scaled away takes its claim; with whenDeleted Delete, the set takes all of
    them. Owners of other kinds stay.
    """
    policy = sts["spec"].get("persistentVolumeClaimRetentionPolicy", {})
    pod_refs = [_reference(pod)] if pod and condemned and policy.get("whenScaled") == "Delete" else []
    keeps = condemned and policy.get("whenScaled") == "Delete"
    set_refs = [_reference(sts)] if policy.get("whenDeleted") == "Delete" and not keeps else []
    others = [
        ref
        for ref in claim["metadata"].get("ownerReferences", ())
        if ref["uid"] != sts["metadata"]["uid"] and ref["kind"] != "Pod"
    ]
    return [*others, *set_refs, *pod_refs]


def _reference(owner: Raw) -> Raw:
    """A plain reference: a claim is nobody's to control."""
    return {field: value for field, value in reference(owner).items() if field in ("apiVersion", "kind", "name", "uid")}
