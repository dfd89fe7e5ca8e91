"""Custom resources: see `registry.Custom`."""

from labkit.control.custom.registry import Custom

__all__ = ["Custom"]
