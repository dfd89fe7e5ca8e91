"""ResourceQuota: how much of what a namespace may hold; admission refuses what would go beyond.

What is used is counted from the objects each time, so that it is right whatever the status says; the controller writes
the status for who looks at it.
Source: apiserver/pkg/admission/plugin/resourcequota/controller.go, pkg/quota/v1/evaluator/core, pkg/controller/
resourcequota of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

from labkit.api import amounts
from labkit.api.amounts import Amounts
from labkit.api.canonical import written
from labkit.api.problem import Problem
from labkit.control import status
from labkit.control.admission import Admission
from labkit.control.store import Raw, Store, key_of
from labkit.control.watch import Event
from labkit.errors import ApiError

COUNTED = {"ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims", "Pod": "pods",
           "ResourceQuota": "resourcequotas", "Secret": "secrets", "Service": "services"}  # fmt: skip
COMPUTE = ("cpu", "ephemeral-storage", "memory")


def register(admission: Admission) -> None:
    store = admission.store
    admission.validate("*", lambda new, old: _check(store, new, old))


class ResourceQuotas:
    """Keeps `status` of the quotas of a namespace. Keys are namespaces."""

    name = "resourcequota"
    kinds = None

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self, event: Event) -> Iterable[str]:
        namespace = event.object["metadata"].get("namespace", "")
        return [namespace] if namespace and self._store.list("ResourceQuota", namespace) else []

    def reconcile(self, key: str) -> None:
        for quota in self._store.list("ResourceQuota", key):
            hard = quota.get("spec", {}).get("hard", {})
            used = _used(self._store, quota)
            texts = {name: written(used.get(name, Fraction()), amount) for name, amount in hard.items()}
            wanted = {"hard": hard, "used": texts} if hard else {}
            if quota.get("status", {}) != wanted:
                self._store.update(*key_of(quota), partial(_put, wanted))


def _put(wanted: Raw, quota: Raw) -> None:
    quota["status"] = wanted


def _check(store: Store, new: Raw, old: Raw | None) -> Iterable[Problem]:
    """Raises Forbidden where a quota does not leave what the object takes more than it did."""
    namespace = new["metadata"].get("namespace", "")
    for quota in store.list("ResourceQuota", namespace) if namespace else ():
        spec = quota.get("spec", {})
        if not _in_scope(spec, new):
            continue
        takes, took = _usage(store, new), {} if old is None else _usage(store, old)
        hard = amounts.parsed(spec.get("hard"))
        if new["kind"] == "Pod" and old is None:
            _must_specify(quota, hard, new)
        more = {name: takes[name] - took.get(name, Fraction()) for name in takes if name in hard}
        more = {name: amount for name, amount in more.items() if amount > 0}
        used = _used(store, quota) if more else {}
        over = sorted(name for name, amount in more.items() if used.get(name, Fraction()) + amount > hard[name])
        if over:
            texts = [_listed(over, each, spec["hard"]) for each in (more, used, hard)]
            named = quota["metadata"]["name"]
            why = f"exceeded quota: {named}, requested: {texts[0]}, used: {texts[1]}, limited: {texts[2]}"
            raise _forbidden(store, new, why)
    return ()


def _listed(names: list[str], values: Amounts, like: dict[str, Any]) -> str:
    return ",".join(f"{name}={written(values.get(name, Fraction()), str(like[name]))}" for name in names)


def _must_specify(quota: Raw, hard: Amounts, pod: Raw) -> None:
    """A pod under a quota of an amount must say its amount, in each container."""
    lacking = []
    for name in sorted(hard):
        field, _, plain = name.rpartition(".")
        field, plain = field or "requests", plain if field else name
        if plain not in COMPUTE or field not in ("requests", "limits") or name == "ephemeral-storage":
            continue
        without = sorted(
            container["name"]
            for container in [*pod["spec"].get("containers", ()), *pod["spec"].get("initContainers", ())]
            if plain not in container.get("resources", {}).get(field, {})
        )
        if without:
            lacking.append(f"{name} for: {','.join(without)}")
    if lacking:
        why = f"failed quota: {quota['metadata']['name']}: must specify {'; '.join(lacking)}"
        metadata = pod["metadata"]
        raise status.forbidden("Pod", metadata.get("name") or metadata.get("generateName", ""), why)


def _used(store: Store, quota: Raw) -> Amounts:
    """What the objects of a quota's namespace take of it."""
    spec, namespace = quota.get("spec", {}), quota["metadata"]["namespace"]
    total: Amounts = {}
    for raw in store.indexed("namespace", namespace):
        if _in_scope(spec, raw):
            for name, amount in _usage(store, raw).items():
                total[name] = total.get(name, Fraction()) + amount
    return total


def _usage(store: Store, raw: Raw) -> Amounts:
    """What one object takes, under all names that a quota may count it by."""
    kind = key_of(raw)[0]
    resource = store.catalogue.named(kind)
    found: Amounts = {f"count/{status.named(resource).qualified}": Fraction(1)}
    if kind == "Pod" and raw.get("status", {}).get("phase") in ("Succeeded", "Failed"):
        return found
    if kind in COUNTED:
        found[COUNTED[kind]] = Fraction(1)
    if kind == "Pod":
        found |= dict(_compute(raw.get("spec", {})))
    elif kind == "Service":
        found |= _service(raw.get("spec", {}))
    elif kind == "PersistentVolumeClaim":
        spec = raw.get("spec", {})
        storage = amounts.parsed(spec.get("resources", {}).get("requests")).get("storage", Fraction())
        found["requests.storage"] = storage
        if name := spec.get("storageClassName"):
            of_class = f"{name}.storageclass.storage.k8s.io"
            found |= {f"{of_class}/requests.storage": storage, f"{of_class}/persistentvolumeclaims": Fraction(1)}
    return found


def _compute(spec: Raw) -> Iterator[tuple[str, Fraction]]:
    for name, amount in amounts.of_pod(spec, "requests").items():
        yield f"requests.{name}", amount
        if "/" not in name:
            yield name, amount
    for name, amount in amounts.of_pod(spec, "limits").items():
        yield f"limits.{name}", amount


def _service(spec: Raw) -> Amounts:
    ports = len(spec.get("ports", ()))
    match spec.get("type"):
        case "NodePort":
            return {"services.nodeports": Fraction(ports)}
        case "LoadBalancer":
            given = ports if spec.get("allocateLoadBalancerNodePorts", True) else 0
            return {"services.loadbalancers": Fraction(1), "services.nodeports": Fraction(given)}
        case _:
            return {}


def _in_scope(spec: Raw, raw: Raw) -> bool:
    """Whether a quota counts an object: all of its scopes must hold; they are of pods."""
    scopes = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes", ())]
    scopes += spec.get("scopeSelector", {}).get("matchExpressions", ())
    return not scopes or (raw["kind"] == "Pod" and all(_holds(scope, raw) for scope in scopes))


def _holds(scope: dict[str, Any], pod: Raw) -> bool:
    spec = pod.get("spec", {})
    best_effort: bool = pod.get("status", {}).get("qosClass", "BestEffort") == "BestEffort"
    match scope["scopeName"]:
        case "BestEffort":
            return best_effort
        case "NotBestEffort":
            return not best_effort
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "PriorityClass":
            return _selected(scope, spec.get("priorityClassName", ""))
        case _:
            return False


def _selected(scope: dict[str, Any], name: str) -> bool:
    values: list[str] = scope.get("values", [])
    match scope.get("operator"):
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case "DoesNotExist":
            return not name
        case _:
            return bool(name)


def _forbidden(store: Store, new: Raw, why: str) -> ApiError:
    metadata = new["metadata"]
    kind = store.catalogue.named(key_of(new)[0])
    return status.forbidden(kind, metadata.get("name") or metadata.get("generateName", ""), why)
