"""Managed fields: `stamp` for every write, `server_side_apply`; `custom` gives the shape of a custom kind."""

from labkit.control.fields.apply import server_side_apply
from labkit.control.fields.shapes import Kind, custom
from labkit.control.fields.stamp import stamp

__all__ = ["Kind", "custom", "server_side_apply", "stamp"]
