"""Who selects whom, without looking at everybody: pods by label, Services by one pair of their selector.

pod's labels --each pair--> Services whose first pair it is --all pairs match?--> Services of the pod
Service's first pair -----> pods that have it --------------all pairs match?--> pods of the Service
"""

from __future__ import annotations

from typing import Any

from labkit.api.objects import Pod, Service
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.endpoints.pods import selects

Raw = dict[str, Any]


def add_indexes(store: Store) -> None:
    store.add_index("pod label", _pairs, "Pod")
    store.add_index("selector", lambda raw: [_first(raw)], "Service")


def pods_of(store: Store, service: Service) -> list[Pod]:
    """The pods that a Service selects, in order of name."""
    if not service.spec.selector:
        return []
    label, value = min(service.spec.selector.items())
    pods = (store.typed(Pod, raw) for raw in store.indexed("pod label", _pair(service.namespace, label, value)))
    return [pod for pod in pods if selects(service, pod)]


def services_of(store: Store, event: Event) -> set[str]:
    """Keys of the Services that select the pod of an event as it is, or selected it as it was."""
    found = set()
    for raw in (event.object, event.old):
        labels = raw["metadata"].get("labels", {}) if raw else {}
        for pair in _pairs(raw) if raw else []:
            for service in store.indexed("selector", pair):
                if service["spec"]["selector"].items() <= labels.items():
                    found.add(f"{service['metadata']['namespace']}/{service['metadata']['name']}")
    return found


def _pairs(raw: Raw) -> list[str]:
    metadata = raw["metadata"]
    return [_pair(metadata["namespace"], label, value) for label, value in metadata.get("labels", {}).items()]


def _first(service: Raw) -> str:
    selector = service["spec"].get("selector")
    return _pair(service["metadata"]["namespace"], *min(selector.items())) if selector else ""


def _pair(namespace: str, label: str, value: str) -> str:
    return f"{namespace} {label}={value}"
