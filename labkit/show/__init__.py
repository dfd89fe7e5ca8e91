"""Pictures and tables: each picture is drawn from facts, and shows the table of the same facts below it."""

from labkit.show.backends import backends
from labkit.show.curves import curves
from labkit.show.distributions import distribution
from labkit.show.graphs import topology
from labkit.show.hierarchy import hierarchy
from labkit.show.matrices import matrix
from labkit.show.paths import path
from labkit.show.picture import Picture
from labkit.show.tables import Table, table

__all__ = ["Picture", "Table", "backends", "curves", "distribution", "hierarchy", "matrix", "path", "table", "topology"]
