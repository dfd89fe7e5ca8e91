"""The lab as a notebook holds it: `start()` gives a `Lab`."""

from labkit.lab.lab import Lab
from labkit.lab.starting import start

__all__ = ["Lab", "start"]
