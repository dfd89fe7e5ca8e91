"""The volume by which a pod can talk to the API: a token, the authority's certificate, the namespace.

Source: kubernetes/plugin/pkg/admission/serviceaccount/admission.go (mountServiceAccountToken, TokenVolumeSource).
"""

from __future__ import annotations

from typing import Any

from labkit.control.root_ca import NAME as ROOT_CA
from labkit.control.store import Store

Raw = dict[str, Any]

PREFIX = "kube-api-access-"
PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
SECONDS = 3607


def wanted(spec: Raw, account: Raw | None) -> bool:
    """Whether the pod, or else its ServiceAccount, lets the token be mounted."""
    own = spec.get("automountServiceAccountToken")
    if own is None and account is not None:
        own = account.get("automountServiceAccountToken")
    return own is None or bool(own)


def add(spec: Raw, namespace: str, store: Store) -> None:
    """Add the volume to the pod, and mount it in every container that has nothing of its own at that path."""
    containers = [c for field in ("initContainers", "containers") for c in spec.get(field) or ()]
    without = [c for c in containers if all(m.get("mountPath") != PATH for m in c.get("volumeMounts") or ())]
    if not without:
        return
    name = store.chance.name(PREFIX, namespace)
    for container in without:
        mount = {"name": name, "readOnly": True, "mountPath": PATH}
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), mount]
    spec["volumes"] = [*(spec.get("volumes") or ()), {"name": name, "projected": _projected()}]


def _projected() -> Raw:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "defaultMode": 0o644,
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": SECONDS, "path": "token"}},
            {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
    }
