"""Which container of a pod a client means. Pure.

Source: validateContainer of pkg/registry/core/pod/strategy.go of v1.34.
"""

from __future__ import annotations

from labkit.control import status
from labkit.control.store import Raw


def chosen(pod: Raw, name: str) -> str:
    """The container of this name; without one the only one. Raises BadRequest where that is none, or not clear."""
    title = pod["metadata"]["name"]
    main, init, ephemeral = (_names(pod, kind) for kind in ("containers", "initContainers", "ephemeralContainers"))
    if name:
        if name not in (*main, *init, *ephemeral):
            raise status.bad_request(f"container {name} is not valid for pod {title}")
        return name
    if len(main) == 1:
        return main[0]
    also = f" or one of the init containers: [{' '.join(init)}]" if init else ""
    also += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]" if ephemeral else ""
    raise status.bad_request(
        f"a container name must be specified for pod {title}, choose one of: [{' '.join(main)}]{also}"
    )


def _names(pod: Raw, field: str) -> list[str]:
    return [container["name"] for container in pod["spec"].get(field) or ()]
