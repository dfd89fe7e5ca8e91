"""What the API server adds to a pod as it is written: its ServiceAccount, the volume with its token, its first phase.

Source: kubernetes/plugin/pkg/admission/serviceaccount/admission.go, pkg/registry/core/pod/strategy.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from labkit.api.defaults.pods import quality
from labkit.api.problem import Problem
from labkit.control import status
from labkit.control.admission import Admission
from labkit.control.store import Store
from labkit.workloads import token_volume

Raw = dict[str, Any]


def register(admission: Admission, store: Store) -> None:
    """Complete pods on their way into the store."""
    admission.mutate("Pod", lambda new, old: complete(store, new, old))


def complete(store: Store, new: Raw, old: Raw | None) -> Iterable[Problem]:
    """Set `serviceAccountName`, token volume and phase. Raises Forbidden for a ServiceAccount that does not exist."""
    if old is not None or "spec" not in new:  # without a spec, validation refuses it
        return ()
    metadata = new["metadata"]
    account = new["spec"].setdefault("serviceAccountName", "default")
    # A namespace's own `default` may be on its way yet, together with the namespace.
    found = store.find("ServiceAccount", metadata["namespace"], account)
    if account != "default" and found is None:
        where = f"{metadata['namespace']}/{account}"
        why = f'error looking up service account {where}: serviceaccount "{account}" not found'
        raise status.forbidden("Pod", metadata.get("name") or metadata.get("generateName", ""), why)
    if token_volume.wanted(new["spec"], found):
        token_volume.add(new["spec"], metadata["namespace"], store)
    new["status"] = {"phase": "Pending", "qosClass": quality(new["spec"])}
    return ()
