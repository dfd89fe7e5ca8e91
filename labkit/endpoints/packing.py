"""Putting endpoints into slices with as little change as possible.

    existing slices -> 1 keep what is wanted, drop the rest
                       2 fill those that change anyway, the fullest first
                       3 fit what is left into one unchanged slice, or make new ones

Source: k8s.io/endpointslice/reconciler.go (reconcileByPortMapping) and utils.go (getSliceToFill) of v1.34, which takes
slices and endpoints in no certain order; here it is that of slice names and of the pods.
"""

from __future__ import annotations

from collections.abc import Sequence

from labkit.api.objects import Endpoint, Object, OwnerReference

MAX_ENDPOINTS = 100
"""--max-endpoints-per-slice of kube-controller-manager."""

Identity = tuple[tuple[str, ...], str, str, str]


def identity(endpoint: Endpoint) -> Identity:
    """What makes two versions of an endpoint the same one: addresses, host name and the object behind it."""
    target = endpoint.target_ref
    return endpoint.addresses, endpoint.hostname, target.namespace if target else "", target.name if target else ""


def pack(
    wanted: Sequence[Endpoint], slices: Sequence[tuple[Endpoint, ...]], limit: int = MAX_ENDPOINTS
) -> list[tuple[Endpoint, ...]]:
    """Contents of the given slices, in their order, then of the new ones; an emptied slice is an empty tuple."""
    left = {identity(endpoint): endpoint for endpoint in wanted}
    packed: list[tuple[Endpoint, ...]] = []
    for content in slices:
        kept = (left.pop(identity(endpoint), None) for endpoint in content)
        packed.append(tuple(endpoint for endpoint in kept if endpoint is not None))
    waiting = list(left.values())

    changed = [place for place, content in enumerate(packed) if content and content != tuple(slices[place])]
    for place in sorted(changed, key=lambda place: -len(packed[place])):
        room = limit - len(packed[place])
        packed[place] += tuple(waiting[:room])
        del waiting[:room]

    unchanged = [place for place, content in enumerate(packed) if content and place not in changed]
    while waiting:
        fitting = [place for place in unchanged if len(packed[place]) + len(waiting) <= limit]
        if fitting:
            fullest = max(fitting, key=lambda place: len(packed[place]))
            packed[fullest] += tuple(waiting)
            waiting = []
        else:
            packed.append(tuple(waiting[:limit]))
            del waiting[:limit]
    return packed


def controlled_by(kind: str, owner: Object) -> OwnerReference:
    """The reference by which a slice belongs to what it was made for; `kind` is one of core/v1."""
    uid = owner.metadata.uid
    return OwnerReference(
        api_version="v1", kind=kind, name=owner.name, uid=uid, controller=True, block_owner_deletion=True
    )
