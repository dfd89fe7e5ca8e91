"""Pictures and tables: each picture is drawn from facts, and shows the table of the same facts below it."""

from labkit.show.distributions import distribution
from labkit.show.graphs import topology
from labkit.show.paths import path
from labkit.show.picture import Picture
from labkit.show.tables import Table, table

__all__ = ["Picture", "Table", "distribution", "path", "table", "topology"]
