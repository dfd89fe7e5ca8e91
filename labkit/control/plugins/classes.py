"""The default classes of Ingresses and of claims to volumes.

Source: plugin/pkg/admission/network/defaultingressclass/admission.go, storage/storageclass/setdefault/admission.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.api.problem import Problem
from labkit.api.validation.networking import CLASS_ANNOTATION
from labkit.control.admission import Admission
from labkit.control.store import Raw, Store

INGRESS = "ingressclass.kubernetes.io/is-default-class"
STORAGE = "storageclass.kubernetes.io/is-default-class"


def register(admission: Admission) -> None:
    store = admission.store
    admission.mutate("Ingress", lambda new, old: _ingress(store, new, old))
    admission.mutate("PersistentVolumeClaim", lambda new, old: _claim(store, new, old))


def _ingress(store: Store, new: Raw, old: Raw | None) -> Iterable[Problem]:
    spec = new.get("spec", {})
    chosen = "ingressClassName" in spec or CLASS_ANNOTATION in new["metadata"].get("annotations", {})
    if old is not None or chosen:
        return ()
    found = _defaults(store, "IngressClass", INGRESS)
    if found:
        new["spec"] = {**spec, "ingressClassName": found[0]["metadata"]["name"]}
    return ()


def _claim(store: Store, new: Raw, old: Raw | None) -> Iterable[Problem]:
    if old is None and new["spec"].get("storageClassName") is None:
        found = _defaults(store, "StorageClass", STORAGE)
        if found:
            new["spec"]["storageClassName"] = found[0]["metadata"]["name"]
    return ()


def _defaults(store: Store, kind: str, annotation: str) -> list[Raw]:
    """The classes that say that they are the default, the newest first: that one is taken."""
    marked = [c for c in store.list(kind) if c["metadata"].get("annotations", {}).get(annotation) == "true"]
    return sorted(marked, key=store.created, reverse=True)
