"""The service controller of the cloud: gives Services of type LoadBalancer an address, and takes it back.

    Service ── wants one? ──┬─ yes ─ finalizer, address, status    Ensuring…, EnsuredLoadBalancer
                            └─ no, or going ─ status, finalizer    Deleting…, DeletedLoadBalancer
    Node comes or goes ──────────────────────────────────────────  UpdatedLoadBalancer

All it knows is in the store: an address is taken as long as a status has it. Who makes the addresses work follows
the same objects. Source: k8s.io/cloud-provider/controllers/service/controller.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.api import objects
from labkit.api.objects import Node, Service
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.errors import LabError
from labkit.services.cloud import balancer, changes, pool

SOURCE = "service-controller"
INDEX, HELD = "load balancer", "has addresses"
FIRST_RETRY, LONGEST_RETRY = 5.0, 300.0


class ServiceController:
    """Keys are `namespace/name` of a Service. networks: where addresses come from, by IP family."""

    name = SOURCE
    kinds = frozenset({"Node", "Service"})

    def __init__(self, store: Store, networks: dict[str, str]) -> None:
        self._store = store
        self._networks = networks
        self._recorder = Recorder(store, SOURCE)
        self._hosts: frozenset[str] | None = None  # not known before the first node is heard of
        self._told: dict[str, list[tuple[str, str]]] = {}  # what has changed about a Service, to be said of it
        self._moved: set[str] = set()  # those that have other hosts than before, and are else as they were
        self._retries: dict[str, float] = {}
        store.add_index(INDEX, lambda raw: [HELD] if standing(raw) else [], "Service")

    def keys(self, event: Event) -> Iterable[str]:
        if event.object["kind"] == "Node":
            return self._nodes_changed() if other_node(event.object, event.old) or event.type == "DELETED" else ()
        if event.type == "DELETED" or not _concerned(event.object, event.old):
            return ()
        key = _key(event.object)
        if event.old is not None:
            new, old = self._store.typed(Service, event.object), objects.view(event.old, Service)
            said = changes.needs_update(old, new)
            if said is None and not _leaves(event.object):
                return ()
            self._told.setdefault(key, []).extend(said or ())
        self._moved.discard(key)
        return [key]

    def reconcile(self, key: str) -> float | None:
        namespace, _, name = key.partition("/")
        raw = self._store.find("Service", namespace, name)
        if raw is None:
            self._told.pop(key, None)
            self._moved.discard(key)
            return None
        for reason, message in self._told.pop(key, ()):
            self._recorder.event(raw, "Normal", reason, message)
        service = self._store.typed(Service, raw)
        if not balancer.wants(service) or "deletionTimestamp" in raw["metadata"]:
            self._release(raw)
        elif key in self._moved:
            self._moved.discard(key)
            self._update_hosts(raw)
        else:
            return self._ensure(raw, service)
        return None

    def _ensure(self, raw: Raw, service: Service) -> float | None:
        """Seconds until the next attempt where there can be no balancer now."""
        self._recorder.event(raw, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        if balancer.FINALIZER not in raw["metadata"].get("finalizers", ()):
            raw = self._store.update(*_place(raw), _held)
        try:
            hosts = balancer.eligible(self._store.views(Node))
            if not hosts:
                self._unavailable(raw)
            found = self._addresses(service)
            made = balancer.described(service, found, hosts)
        except LabError as error:
            what = f"Error syncing load balancer: failed to ensure load balancer: {error.message}"
            self._recorder.event(raw, "Warning", "SyncLoadBalancerFailed", what)
            self._retries[service.key] = wait = min(self._retries.get(service.key, FIRST_RETRY / 2) * 2, LONGEST_RETRY)
            return wait
        self._retries.pop(service.key, None)
        self._recorder.event(raw, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        self._write_status(raw, [{"ip": address, "ipMode": made.mode} for address in found])
        return None

    def _release(self, raw: Raw) -> None:
        held = balancer.FINALIZER in raw["metadata"].get("finalizers", ())
        if not held:
            return
        self._recorder.event(raw, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        if standing(raw):
            raw = self._write_status(raw, [])
        self._recorder.event(raw, "Normal", "DeletedLoadBalancer", "Deleted load balancer")
        self._store.update(*_place(raw), _let_go)

    def _addresses(self, service: Service) -> tuple[str, ...]:
        """One for each IP family of the Service. Raises `LabError`."""
        asked, found = service.spec.load_balancer_ip, list[str]()
        for family in service.spec.ip_families or ("IPv4",):
            if (network := self._networks.get(family)) is None:
                raise LabError(f"this cloud has no addresses of {family}")
            own = [a for a in balancer.addresses(service) if pool.inside(a, network)]
            wanted = asked if (":" in asked) == (family == "IPv6") else ""
            if own and wanted in ("", own[0]):
                found.append(own[0])
            else:
                found.append(pool.choose(network, self._taken(service.key), wanted))
        return tuple(found)

    def _taken(self, key: str) -> set[str]:
        """The addresses of all Services but this one."""
        others = (raw for raw in self._store.indexed(INDEX, HELD) if _key(raw) != key)
        return {address for raw in others for address in standing(raw)}

    def _nodes_changed(self) -> Iterable[str]:
        hosts = frozenset(balancer.eligible(self._store.views(Node)))
        before, self._hosts = self._hosts, hosts
        if before is None or before == hosts:
            return ()
        found = [service.key for service in balanced(self._store) if balancer.wants(service)]
        self._moved.update(found)
        return found

    def _update_hosts(self, raw: Raw) -> None:
        if self._hosts:
            said = "Updated load balancer with new hosts"
            self._recorder.event(raw, "Normal", "UpdatedLoadBalancer", said)
        else:
            self._unavailable(raw)

    def _unavailable(self, raw: Raw) -> None:
        said = "There are no available nodes for LoadBalancer"
        self._recorder.event(raw, "Warning", "UnAvailableLoadBalancer", said)

    def _write_status(self, raw: Raw, ingress: list[Raw]) -> Raw:
        balanced = {"ingress": ingress} if ingress else {}
        return self._store.replace_status({**raw, "status": {**raw.get("status", {}), "loadBalancer": balanced}})


def balanced(store: Store) -> list[Service]:
    """The Services that have an address of a load balancer, in order of namespace and name."""
    return [store.typed(Service, raw) for raw in store.indexed(INDEX, HELD)]


def _concerned(new: Raw, old: Raw | None) -> bool:
    kinds = {raw["spec"].get("type") for raw in (new, old) if raw}
    return "LoadBalancer" in kinds or _leaves(new)


def _leaves(raw: Raw) -> bool:
    """Whether a Service has had a balancer and is to have none: it goes, or is of another type now."""
    if balancer.FINALIZER not in raw["metadata"].get("finalizers", ()):
        return False
    return "deletionTimestamp" in raw["metadata"] or raw["spec"].get("type") != "LoadBalancer"


def other_node(new: Raw, old: Raw | None) -> bool:
    """Whether it may count otherwise than before: its heartbeats are many."""
    if old is None:
        return True
    return any(
        new[part].get(field) != old[part].get(field)
        for part, field in (("metadata", "labels"), ("metadata", "deletionTimestamp"), ("spec", "taints"))
    )


def standing(raw: Raw) -> list[str]:
    """The addresses that an object, which may be a Service, has of load balancers."""
    if raw["kind"] != "Service":
        return []
    ingress = raw.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    return [each["ip"] for each in ingress if each.get("ip")]


def _held(raw: Raw) -> None:
    raw["metadata"].setdefault("finalizers", []).append(balancer.FINALIZER)


def _let_go(raw: Raw) -> None:
    left = [name for name in raw["metadata"]["finalizers"] if name != balancer.FINALIZER]
    raw["metadata"]["finalizers"] = left
    if not left:
        del raw["metadata"]["finalizers"]


def _place(raw: Raw) -> tuple[str, str, str]:
    return "Service", raw["metadata"]["namespace"], raw["metadata"]["name"]


def _key(raw: Raw) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"
