"""How long a container waits for its restart. Pure.

Source: doBackOff of pkg/kubelet/kuberuntime/kuberuntime_manager.go, k8s.io/client-go/util/flowcontrol/backoff.go.
"""

from __future__ import annotations

LONGEST, FORGIVEN = 300.0, 600.0  # seconds


class Backoff:
    """No time at first, then `first` seconds, doubling; a run of more than ten minutes is forgiven all before it."""

    def __init__(self, first: float) -> None:
        self._first = first
        self._next = 0.0

    def next(self, ran: float) -> float:
        """Seconds to wait for the restart of a container that `ran` for so many."""
        delay = 0.0 if ran > FORGIVEN else self._next
        self._next = min(LONGEST, delay * 2 or self._first)
        return delay
