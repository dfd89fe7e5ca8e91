"""The arithmetic of a rollout: how many replicas each ReplicaSet of a Deployment should have next.

Source: kubernetes/pkg/controller/deployment/{rolling,recreate,sync}.go, util/deployment_util.go (NewRSNewReplicas,
ResolveFenceposts) of v1.34. What scaling does in the middle of a rollout: `proportions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import msgspec

from labkit.api.objects import DeploymentSpec


class Size(msgspec.Struct, frozen=True):
    """A ReplicaSet: how many replicas it is to have, how many are available, how many pods there still are.

    desired, most: the Deployment's replicas, and those with its surge, for which it was sized; None and 0: not known.
    """

    name: str
    replicas: int
    available: int = 0
    pods: int = 0
    desired: int | None = None
    most: int = 0


def bounds(spec: DeploymentSpec) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: a percentage is rounded up for the first, down for the second; they are
    never both 0.
    """
    update = spec.strategy.rolling_update
    surge = share(update.max_surge, spec.replicas, up=True)
    unavailable = share(update.max_unavailable, spec.replicas, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, spec.replicas)


def step(spec: DeploymentSpec, new: Size, old: Sequence[Size]) -> dict[str, int]:
    """The next sizes of the ReplicaSets that change, by name; `old` is in order of creation."""
    if spec.strategy.type == "Recreate":
        return _recreate(spec, new, old)
    surge, unavailable = bounds(spec)
    total = new.replicas + sum(rs.replicas for rs in old)
    if new.replicas > spec.replicas:
        return {new.name: spec.replicas}
    growth = min(spec.replicas + surge - total, spec.replicas - new.replicas)
    if growth > 0:
        return {new.name: new.replicas + growth}
    least = spec.replicas - unavailable
    return _shrink(old, total - least - (new.replicas - new.available), least, new.available)


def _recreate(spec: DeploymentSpec, new: Size, old: Sequence[Size]) -> dict[str, int]:
    """First all old pods go, then the new ones come."""
    if shrinking := {rs.name: 0 for rs in old if rs.replicas}:
        return shrinking
    done = new.replicas == spec.replicas or any(rs.pods for rs in old)
    return {} if done else {new.name: spec.replicas}


def _shrink(old: Sequence[Size], most: int, least: int, available: int) -> dict[str, int]:
    """Old ReplicaSets lose at most `most` pods: those that are not available first, then as many as availability
    allows (`least` of the new and old ones together).
    """
    sizes = {rs.name: rs.replicas for rs in old}
    if most <= 0:
        return {}
    for rs in old:
        unhealthy = min(most, max(0, rs.replicas - rs.available))
        sizes[rs.name] -= unhealthy
        most -= unhealthy
    spare = available + sum(min(rs.available, sizes[rs.name]) for rs in old) - least
    for rs in old:
        taken = min(sizes[rs.name], max(0, spare))
        sizes[rs.name] -= taken
        spare -= taken
    return {rs.name: sizes[rs.name] for rs in old if sizes[rs.name] != rs.replicas}


def share(value: int | str, replicas: int, *, up: bool) -> int:
    """A number, or a percentage of `replicas` rounded up or down."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * replicas / 100
    return ceil(exact) if up else int(exact)
