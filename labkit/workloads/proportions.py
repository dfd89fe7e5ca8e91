"""A Deployment that is scaled: what each of its ReplicaSets gets of it, in proportion to its size.

Source: kubernetes/pkg/controller/deployment/sync.go (isScalingEvent, scale), util/deployment_util.go (IsSaturated,
FindActiveOrLatest, GetReplicaSetProportion, getReplicaSetFraction) of v1.34.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.api.objects import DeploymentSpec
from labkit.workloads.rollout import Size, bounds


def is_scaling(spec: DeploymentSpec, sets: Sequence[Size]) -> bool:
    """Whether `spec.replicas` is another than the one that a ReplicaSet with replicas was sized for.

    Recreate gets there by its own steps where several have replicas: their sizes are not in proportion to anything.
    """
    active = [rs for rs in sets if rs.replicas]
    spreads = len(active) == 1 or spec.strategy.type == "RollingUpdate"
    return spreads and any(rs.desired not in (None, spec.replicas) for rs in active)


def scaled(spec: DeploymentSpec, sets: Sequence[Size], new: str, counted: int) -> dict[str, int]:
    """The sizes that the ReplicaSets get, by name, those that stay as they are among them.

    sets: in order of creation; new: the name of the newest template's, empty where there is none yet; counted: the
    replicas in the Deployment's status.
    """
    active = [rs for rs in sets if rs.replicas]
    if len(active) <= 1:
        chosen = (
            next(iter(active), None) or next((rs for rs in sets if rs.name == new), None) or next(iter(sets[-1:]), None)
        )
        return {chosen.name: spec.replicas} if chosen else {}
    if any(rs.name == new and _is_saturated(spec, rs) for rs in active):
        return {rs.name: 0 for rs in active if rs.name != new}
    return _in_proportion(spec, active, counted) if spec.strategy.type == "RollingUpdate" else {}


def _is_saturated(spec: DeploymentSpec, new: Size) -> bool:
    return new.replicas == new.desired == new.available == spec.replicas


def _in_proportion(spec: DeploymentSpec, active: Sequence[Size], counted: int) -> dict[str, int]:
    """Every ReplicaSet grows or shrinks as the Deployment with its surge does; what rounding leaves is the largest's.

    Of equal ones the newest comes first in growing, the oldest in shrinking.
    """
    most = spec.replicas + bounds(spec)[0] if spec.replicas else 0
    missing = most - sum(rs.replicas for rs in active)
    ordered = sorted(reversed(active) if missing > 0 else active, key=lambda rs: -rs.replicas)
    changes: dict[str, int] = {}
    for rs in ordered:
        left = missing - sum(changes.values())
        change = _change(rs, most, counted)
        changes[rs.name] = min(change, left) if missing > 0 else max(change, left)
    changes[ordered[0].name] += missing - sum(changes.values())
    return {rs.name: max(0, rs.replicas + changes[rs.name]) for rs in ordered}


def _change(rs: Size, most: int, counted: int) -> int:
    """By how much the ReplicaSet's part of what there may be changes, rounded to the nearest."""
    if not most:
        return -rs.replicas
    before = rs.most or counted
    return int(rs.replicas * most / before + 0.5) - rs.replicas if before else 0
