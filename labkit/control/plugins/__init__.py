"""Admission plug-ins that look at other objects: see `register`."""

from __future__ import annotations

from labkit.control.admission import Admission
from labkit.control.plugins import classes, limits, pods, quota, security


def register(admission: Admission, toleration: int = pods.SECONDS) -> None:
    """All of them, in the order of the real ones; quotas count last what the others have made of an object.

    toleration: seconds that a pod stays on a node that is given up (--default-unreachable-toleration-seconds).
    """
    pods.register(admission, toleration)
    limits.register(admission)
    classes.register(admission)
    security.register(admission)
    quota.register(admission)
