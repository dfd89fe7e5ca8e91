"""Deployment -> ReplicaSets: one for each template it has had, sized step by step towards the newest.

Source: kubernetes/pkg/controller/deployment (deployment_controller.go, sync.go, rolling.go, recreate.go) of v1.34.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.api.objects import Deployment
from labkit.control.namespaces import leaving
from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store
from labkit.control.watch import Event
from labkit.workloads.ownership import claim, controller_of, controllers, owners, reference
from labkit.workloads.progress import News, check_in, new_status
from labkit.workloads.proportions import is_scaling, scaled
from labkit.workloads.rollout import Size, bounds, step
from labkit.workloads.templates import HASH_LABEL, same, template_hash, with_hash

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
OWN = (REVISION, HISTORY, DESIRED, MOST, "kubectl.kubernetes.io/last-applied-configuration")


class Deployments:
    """Rolls Deployments out. Keys are `namespace/name`."""

    name = "deployment"
    kinds = frozenset({"Deployment", "Pod", "ReplicaSet"})

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recorder = Recorder(store, "deployment-controller")
        store.add_index("controller", controllers)

    def keys(self, event: Event) -> Iterable[str]:
        kind, metadata = event.object["kind"], event.object["metadata"]
        if kind == "Deployment":
            return [f"{metadata['namespace']}/{metadata['name']}"]
        if kind == "ReplicaSet":
            return owners(self._store, "Deployment", event)
        # Recreate waits for the last old pod to go; nothing else here depends on single pods.
        return self._owners_of(event.object) if event.type == "DELETED" else []

    def reconcile(self, key: str) -> float | None:
        """Take one step of the rollout, then write the status; the step's own events bring the next one.

        Returns when a rollout that stands still is late.
        """
        namespace, _, name = key.partition("/")
        deployment = self._store.view(Deployment, namespace, name)
        if deployment is None or deployment.metadata.deletion_timestamp is not None or leaving(self._store, namespace):
            return None
        raw = self._store.get("Deployment", namespace, name)
        sets = claim(self._store, raw, "ReplicaSet", deployment.spec.selector)
        sets.sort(key=self._store.created)
        new = next((rs for rs in sets if same(rs["spec"]["template"], raw["spec"]["template"])), None)
        old = [rs for rs in sets if rs is not new]
        if new is not None:
            new = self._renumber(raw, deployment, new, old)
        sizes = [self._size(rs) for rs in sets]
        news: News = "" if new is None else "FoundNewReplicaSet"
        if deployment.spec.paused or is_scaling(deployment.spec, sizes):
            self._spread(raw, deployment, sizes, new)
        else:
            if new is None:
                new, news = self._create(raw, deployment, old), "NewReplicaSetCreated"
            self._step(deployment, self._size(new), [self._size(rs) for rs in old])
        self._clean_up(deployment, new, old)
        return self._write_status(deployment, new, old, news)

    def _create(self, raw: Raw, deployment: Deployment, old: Sequence[Raw]) -> Raw:
        """The ReplicaSet of the newest template, without replicas yet, as the next revision."""
        digest = template_hash(raw["spec"]["template"])
        selector = raw["spec"]["selector"]
        spec: dict[str, Any] = {
            "replicas": 0,
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), HASH_LABEL: digest}},
            "template": with_hash(raw["spec"]["template"], digest),
        }
        if deployment.spec.min_ready_seconds:
            spec["minReadySeconds"] = deployment.spec.min_ready_seconds
        metadata = {
            "name": f"{deployment.name}-{digest}",
            "namespace": deployment.namespace,
            "labels": spec["template"]["metadata"]["labels"],
            "annotations": _annotations(raw, _next_revision(old), "", _sized(deployment)),
            "ownerReferences": [reference(raw)],
        }
        created = self._store.create(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}
        )
        self._set_revision(deployment, created)
        return created

    def _renumber(self, raw: Raw, deployment: Deployment, new: Raw, old: Sequence[Raw]) -> Raw:
        """The newest template's ReplicaSet with the highest revision: an old one that is used again moves up."""
        revision = _next_revision(old)
        before = _revision(new)
        own = new["metadata"].get("annotations", {})
        history = own.get(HISTORY, "")
        if before < revision and before:
            history = f"{history},{before}".lstrip(",")
        sized = {key: own[key] for key in (DESIRED, MOST) if key in own}
        annotations = _annotations(raw, max(before, revision), history, sized)

        def change(rs: Raw) -> None:
            rs["metadata"]["annotations"] = annotations
            if deployment.spec.min_ready_seconds:
                rs["spec"]["minReadySeconds"] = deployment.spec.min_ready_seconds
            else:
                rs["spec"].pop("minReadySeconds", None)

        updated = self._store.update("ReplicaSet", deployment.namespace, new["metadata"]["name"], change)
        self._set_revision(deployment, updated)
        return updated

    def _set_revision(self, deployment: Deployment, new: Raw) -> None:
        revision = str(_revision(new))
        if deployment.metadata.annotations.get(REVISION) != revision:
            change = {REVISION: revision}
            self._store.update(
                "Deployment",
                deployment.namespace,
                deployment.name,
                lambda d: d["metadata"].setdefault("annotations", {}).update(change),
            )

    def _step(self, deployment: Deployment, new: Size, old: Sequence[Size]) -> None:
        """The rollout's next step, only for ReplicaSets that change by it."""
        current = {rs.name: rs.replicas for rs in [*old, new]}
        for name, replicas in step(deployment.spec, new, old).items():
            if replicas != current[name]:
                self._scale(deployment, name, current[name], replicas)

    def _spread(self, raw: Raw, deployment: Deployment, sizes: Sequence[Size], new: Raw | None) -> None:
        """A paused or scaled Deployment does not roll out: its ReplicaSets get what it has now."""
        current = {rs.name: rs.replicas for rs in sizes}
        newest = new["metadata"]["name"] if new else ""
        counted = raw.get("status", {}).get("replicas", 0)
        for name, replicas in scaled(deployment.spec, sizes, newest, counted).items():
            self._scale(deployment, name, current[name], replicas)

    def _scale(self, deployment: Deployment, name: str, before: int, replicas: int) -> None:
        sized = _sized(deployment)

        def change(rs: Raw) -> None:
            rs["spec"]["replicas"] = replicas
            rs["metadata"].setdefault("annotations", {}).update(sized)

        self._store.update("ReplicaSet", deployment.namespace, name, change)
        if before == replicas:
            return
        raw = self._store.get("Deployment", deployment.namespace, deployment.name)
        way = "up" if replicas > before else "down"
        said = f"Scaled {way} replica set {name} from {before} to {replicas}"
        self._recorder.event(raw, "Normal", "ScalingReplicaSet", said)

    def _clean_up(self, deployment: Deployment, new: Raw | None, old: Sequence[Raw]) -> None:
        """Forget the oldest empty ReplicaSets beyond `revisionHistoryLimit`."""
        idle = [rs for rs in old if not rs["spec"]["replicas"] and not rs.get("status", {}).get("replicas")]
        for rs in sorted(idle, key=_revision)[: max(0, len(old) - deployment.spec.revision_history_limit)]:
            self._store.delete("ReplicaSet", deployment.namespace, rs["metadata"]["name"])

    def _write_status(self, deployment: Deployment, new: Raw | None, old: Sequence[Raw], news: News) -> float | None:
        raw = self._store.get("Deployment", deployment.namespace, deployment.name)
        names = [rs["metadata"]["name"] for rs in [*old, *([new] if new else [])]]
        found = [self._store.find("ReplicaSet", deployment.namespace, name) for name in names]
        newest = new["metadata"]["name"] if new else ""
        now = self._store.now()
        status = new_status(raw, deployment.spec, [rs for rs in found if rs], newest, news, now)
        return check_in(self._store.replace_status({**raw, "status": status}), now)

    def _size(self, rs: Raw) -> Size:
        status = rs.get("status", {})
        pods = self._store.indexed("owner", rs["metadata"]["uid"])
        alive = sum(pod.get("status", {}).get("phase") not in ("Succeeded", "Failed") for pod in pods)
        annotations = rs["metadata"].get("annotations", {})
        return Size(
            rs["metadata"]["name"],
            rs["spec"]["replicas"],
            status.get("availableReplicas", 0),
            alive,
            _number(annotations.get(DESIRED)),
            _number(annotations.get(MOST)) or 0,
        )

    def _owners_of(self, pod: Raw) -> list[str]:
        owner = controller_of(pod)
        namespace = pod["metadata"]["namespace"]
        rs = self._store.find("ReplicaSet", namespace, owner["name"]) if owner else None
        grand = controller_of(rs) if rs else None
        return [f"{namespace}/{grand['name']}"] if grand else []


def _annotations(raw: Raw, revision: int, history: str, sized: Mapping[str, str]) -> dict[str, str]:
    """A ReplicaSet's annotations: the Deployment's, and what the controller keeps of the rollout."""
    kept = {k: v for k, v in raw["metadata"].get("annotations", {}).items() if k not in OWN}
    kept |= {**sized, REVISION: str(revision)}
    return {**kept, HISTORY: history} if history else kept


def _sized(deployment: Deployment) -> dict[str, str]:
    """What a ReplicaSet tells of the Deployment for which it was sized."""
    surge, _ = bounds(deployment.spec)
    return {DESIRED: str(deployment.spec.replicas), MOST: str(deployment.spec.replicas + surge)}


def _number(text: str | None) -> int | None:
    """An annotation's number; None where it has none, or somebody wrote something else into it."""
    return int(text) if text and text.isdecimal() and text.isascii() else None


def _revision(rs: Raw) -> int:
    return int(rs["metadata"].get("annotations", {}).get(REVISION, "0"))


def _next_revision(old: Sequence[Raw]) -> int:
    return max((_revision(rs) for rs in old), default=0) + 1
