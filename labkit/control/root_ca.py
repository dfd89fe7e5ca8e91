"""The certificate by which pods know the API server, in every namespace as ConfigMap `kube-root-ca.crt`.

Source: kubernetes/pkg/controller/certificates/rootcacertpublisher/publisher.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.control.namespaces import leaving
from labkit.control.store import Raw, Store
from labkit.control.watch import Event

NAME = "kube-root-ca.crt"
_NOTE = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class RootCertificates:
    """Keeps the ConfigMaps as they should be, from the moment that the certificate is known. Keys are namespaces."""

    name = "root-ca-cert-publisher"
    kinds = frozenset({"ConfigMap", "Namespace"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._certificate = ""

    def publish(self, certificate: str) -> None:
        """The certificate is known: PEM."""
        self._certificate = certificate
        for namespace in self._store.list("Namespace"):
            self.reconcile(namespace["metadata"]["name"])

    def keys(self, event: Event) -> Iterable[str]:
        metadata = event.object["metadata"]
        if event.object["kind"] == "Namespace":
            return [metadata["name"]]
        return [metadata["namespace"]] if metadata["name"] == NAME else []

    def reconcile(self, key: str) -> None:
        if not self._certificate or leaving(self._store, key):
            return
        data = {"ca.crt": self._certificate}
        found = self._store.find("ConfigMap", key, NAME)
        if found is None:
            metadata = {"name": NAME, "namespace": key, "annotations": {"kubernetes.io/description": _NOTE}}
            self._store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        elif found.get("data") != data:

            def change(raw: Raw) -> None:
                raw["data"] = data

            self._store.update("ConfigMap", key, NAME, change)
