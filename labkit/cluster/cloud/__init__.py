"""The cloud below the cluster: what makes load balancers work."""

from labkit.cluster.cloud.cloud import Cloud

__all__ = ["Cloud"]
