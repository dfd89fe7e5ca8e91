"""Kubernetes networking, for real, in a notebook: see `labkit.lab.start`."""

__version__ = "0.1.0"
