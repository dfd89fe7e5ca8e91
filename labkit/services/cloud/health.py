"""Whether a node is fit to take packets: so many answers in a row, good or bad, change the verdict. Pure."""

from __future__ import annotations

import msgspec

from labkit.services.cloud.settings import HealthCheck


class Target(msgspec.Struct, frozen=True):
    """One node as one balancer sees it. `row`: answers in a row that speak against the verdict."""

    healthy: bool = False
    row: int = 0

    def heard(self, good: bool, check: HealthCheck) -> Target:
        """What the next answer makes of it."""
        if good == self.healthy:
            return Target(self.healthy)
        row = self.row + 1
        wanted = check.healthy if good else check.unhealthy
        return Target(good) if row >= wanted else Target(self.healthy, row)
