"""What makes pods: ReplicaSets and Deployments (apps/v1)."""

from __future__ import annotations

from labkit.api.objects.meta import Base, LabelSelector, Object, ObjectMeta
from labkit.api.objects.pod import PodSpec


class PodTemplateSpec(Base, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


class ReplicaSetSpec(Base, frozen=True):
    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class ReplicaSetStatus(Base, frozen=True):
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0


class ReplicaSet(Object, frozen=True):
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class RollingUpdateDeployment(Base, frozen=True):
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class DeploymentStrategy(Base, frozen=True):
    type: str = "RollingUpdate"
    rolling_update: RollingUpdateDeployment = RollingUpdateDeployment()


class DeploymentSpec(ReplicaSetSpec, frozen=True):
    strategy: DeploymentStrategy = DeploymentStrategy()
    revision_history_limit: int = 10
    paused: bool = False


class DeploymentStatus(ReplicaSetStatus, frozen=True):
    updated_replicas: int = 0


class Deployment(Object, frozen=True):
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()
