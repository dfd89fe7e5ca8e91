"""How long a cluster waits for a node that is silent: the real defaults, or a fraction of them.

Source: kubelet's nodeLeaseDurationSeconds (renewed four times as often), kube-controller-manager's
--node-monitor-grace-period, kube-apiserver's --default-unreachable-toleration-seconds, PodGC's quarantine; v1.34.
"""

from __future__ import annotations

import msgspec

LEASE, RENEWALS, GRACE, TOLERATION, QUARANTINE = 40.0, 4, 50.0, 300.0, 40.0


class Pace(msgspec.Struct, frozen=True):
    """`factor` times as quick as a real cluster; 1 is real. All times in seconds."""

    factor: float = 5.0

    @property
    def lease(self) -> float:
        """How long a node's lease is good for."""
        return LEASE / self.factor

    @property
    def renewal(self) -> float:
        """How often a node renews it."""
        return self.lease / RENEWALS

    @property
    def grace(self) -> float:
        """After how much silence a node is given up."""
        return GRACE / self.factor

    @property
    def toleration(self) -> float:
        """How long pods stay on a node that is given up, unless they say otherwise."""
        return TOLERATION / self.factor

    @property
    def quarantine(self) -> float:
        """How long pods outlive a node that was deleted."""
        return QUARANTINE / self.factor
