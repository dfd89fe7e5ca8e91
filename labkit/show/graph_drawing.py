"""Draw a topology by layers: every position follows from kinds, zones and names, never from chance.

outside          internet
router            router          each over the middle of what hangs below it
switch        s-a        s-b
node       node-1 node-2 node-3   one column each, by zone and name
pods       · web  · web  · db     rows below their node
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from labkit.net.place import Place
from labkit.show import theme
from labkit.show.order import natural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from labkit.show.graphs import Link

_UPPER = ("outside", "router", "switch")
_BOX_HEIGHT, _LAYER_GAP, _POD_ROW = 0.4, 0.42, 0.19
_MIN_COLUMN = 1.25
_DOT = 0.16  # room for a pod's dot left of its name


@dataclass(frozen=True)
class Grid:
    """How the pods stand below their nodes: `across` columns of `cell` inches in each node's column."""

    column: float
    across: int
    cell: float
    rows: int


def draw(title: str, places: Sequence[Place], links: Sequence[Link]) -> Figure:
    """The figure of a topology."""
    nodes = sorted((p for p in places if p.kind == "node"), key=lambda p: (p.zone, p.name))
    names = {node.name for node in nodes}
    pods = {name: [p for p in places if p.kind == "pod" and p.node == name] for name in names}
    waiting = [_pod_name(p) for p in places if p.kind == "pod" and p.node not in names]
    layers = [layer for kind in _UPPER if (layer := [p for p in places if p.kind == kind])]
    grid = _grid(nodes, list(pods.values()))
    width = max(theme.WIDTH, grid.column * len(nodes) + 2 * theme.MARGIN)
    x = _across(layers, nodes, links, grid, width)

    titles = theme.title_lines(title, width)
    foot = theme.wrap(f"Not on a node yet: {', '.join(waiting)}", width - 0.3, theme.SMALL) if waiting else []
    below = 0.12 + 0.18 * len(foot)
    node_y = below + grid.rows * _POD_ROW + 0.12 + _BOX_HEIGHT / 2
    y = {node.name: node_y for node in nodes}
    for height, layer in enumerate(reversed(layers), start=1):
        zone_label = 0.22
        y.update({p.name: node_y + zone_label + height * (_BOX_HEIGHT + _LAYER_GAP) for p in layer})
    top = max(y.values(), default=node_y) + _BOX_HEIGHT / 2
    figure, axes = theme.canvas(top + 0.4 + 0.24 * len(titles), width)
    theme.draw_title(axes, titles, top + 0.4 + 0.24 * len(titles))
    _zones(axes, nodes, x, grid, node_y, below)
    _links(axes, links, x, y)
    for place in (*(p for layer in layers for p in layer), *nodes):
        _box(axes, place, x[place.name], y[place.name], grid.column if place.kind == "node" else theme.WIDTH)
    for node in nodes:
        _pods(
            axes,
            sorted(pods[node.name], key=lambda pod: natural(_pod_name(pod))),
            x[node.name],
            node_y - _BOX_HEIGHT / 2 - 0.16,
            grid,
        )
    for i, line in enumerate(reversed(foot)):
        theme.write(axes, theme.MARGIN, 0.12 + 0.18 * i, line, colour=theme.FAINT)
    return figure


def _pod_name(pod: Place) -> str:
    """Without the namespace where it is `default`."""
    return pod.name.removeprefix("default/")


def _grid(nodes: Sequence[Place], pods: Sequence[Sequence[Place]]) -> Grid:
    column = max(_MIN_COLUMN, (theme.WIDTH - 2 * theme.MARGIN) / max(len(nodes), 1))
    room = column - 0.2
    every = [pod for group in pods for pod in group]
    most = max((len(group) for group in pods), default=0)
    names = max((theme.measure(_pod_name(p), theme.SMALL) for p in every), default=0.0) + _DOT + 0.08
    addressed = max((_pod_width(p) for p in every), default=0.0) + _DOT + 0.08
    need = addressed if addressed <= room else names
    across = max(1, min(most, int(room // need))) if every else 1
    return Grid(column, across, room / across, math.ceil(most / across))


def _pod_width(pod: Place) -> float:
    return theme.measure(_pod_name(pod), theme.SMALL) + 0.08 + theme.measure(_address(pod), theme.SMALL)


def _address(place: Place) -> str:
    return place.addresses[0].split("/")[0] if place.addresses else ""


def _across(
    layers: Sequence[Sequence[Place]], nodes: Sequence[Place], links: Sequence[Link], grid: Grid, width: float
) -> dict[str, float]:
    """Each place over the middle of what hangs below it, pushed apart where boxes would touch."""
    used = grid.column * len(nodes)
    x = {node.name: (width - used) / 2 + grid.column * (i + 0.5) for i, node in enumerate(nodes)}
    for layer in reversed(layers):
        wanted = {}
        for place in layer:
            ends = [link.b if link.a == place.name else link.a for link in links if place.name in (link.a, link.b)]
            wanted[place.name] = fmean(found) if (found := [x[end] for end in ends if end in x]) else width / 2
        x.update(_apart(wanted, {place.name: _box_width(place) + 0.15 for place in layer}, width))
    return x


def _apart(wanted: Mapping[str, float], need: Mapping[str, float], width: float) -> dict[str, float]:
    """Positions near the wanted ones, in their order, with room for each box and inside the picture."""
    x: dict[str, float] = {}
    edge = theme.MARGIN
    for name in sorted(wanted, key=lambda n: (wanted[n], n)):
        x[name] = max(wanted[name], edge + need[name] / 2)
        edge = x[name] + need[name] / 2
    edge = width - theme.MARGIN
    for name in reversed(x):
        x[name] = min(x[name], edge - need[name] / 2)
        edge = x[name] - need[name] / 2
    return x


def _box_width(place: Place) -> float:
    texts = theme.measure(place.name, theme.BODY, bold=True), theme.measure(_subtitle(place), theme.SMALL)
    return max(0.7, *texts) + 0.2


def _subtitle(place: Place) -> str:
    return ", ".join(a.split("/")[0] for a in place.addresses) or place.kind


def _box(axes: Axes, place: Place, x: float, y: float, room: float) -> None:
    wide, colour = min(_box_width(place), room - 0.1), theme.LAYER[place.kind]
    theme.box(axes, x - wide / 2, y - _BOX_HEIGHT / 2, wide, _BOX_HEIGHT, colour)
    name = theme.shorten(place.name, wide - 0.1, theme.BODY, bold=True)
    under = theme.shorten(_subtitle(place), wide - 0.1, theme.SMALL)
    theme.write(axes, x, y + 0.08, name, size=theme.BODY, colour=colour, bold=True, ha="center")
    theme.write(axes, x, y - 0.1, under, ha="center")


def _zones(axes: Axes, nodes: Sequence[Place], x: Mapping[str, float], grid: Grid, node_y: float, below: float) -> None:
    """A light ground behind the nodes of each zone, with its name."""
    from matplotlib.patches import Rectangle

    top = node_y + _BOX_HEIGHT / 2 + 0.27
    for zone in sorted({node.zone for node in nodes}):
        at = [x[node.name] for node in nodes if node.zone == zone]
        left, right = min(at) - grid.column / 2 + 0.04, max(at) + grid.column / 2 - 0.04
        axes.add_patch(Rectangle((left, below - 0.06), right - left, top - below + 0.06, color="#F3F3F3", linewidth=0))
        if zone:
            theme.write(axes, left + 0.06, top - 0.12, f"zone {zone}", colour=theme.FAINT)


def _links(axes: Axes, links: Sequence[Link], x: Mapping[str, float], y: Mapping[str, float]) -> None:
    from matplotlib.patches import Rectangle

    for link in links:
        if link.a not in y or link.b not in y:
            continue  # a pod's cable: its place below the node says it
        xs, ys = (x[link.a], x[link.b]), (y[link.a], y[link.b])
        axes.plot(xs, ys, color=theme.LINE, linewidth=1.4, zorder=2)
        if link.limits:
            x_middle, y_middle, half = fmean(xs), fmean(ys), theme.measure(link.limits, theme.SMALL) / 2
            axes.add_patch(Rectangle((x_middle - half, y_middle - 0.07), 2 * half, 0.14, color="white", zorder=2.5))
            theme.write(axes, x_middle, y_middle, link.limits, colour=theme.FAINT, ha="center")


def _pods(axes: Axes, pods: Sequence[Place], centre: float, top: float, grid: Grid) -> None:
    left = centre - grid.column / 2 + 0.1
    column = max((theme.measure(_pod_name(pod), theme.SMALL) for pod in pods), default=0.0) + 0.08
    addresses = all(_DOT + column + theme.measure(_address(pod), theme.SMALL) <= grid.cell for pod in pods)
    for i, pod in enumerate(pods):
        row, across = i % grid.rows, i // grid.rows
        x, y = left + across * grid.cell, top - row * _POD_ROW
        name = theme.shorten(_pod_name(pod), grid.cell - _DOT - 0.04, theme.SMALL)
        axes.plot(x + 0.06, y, "o", color=theme.LAYER["pod"], markersize=4.5)
        theme.write(axes, x + _DOT, y, name)
        if addresses:
            theme.write(axes, x + _DOT + column, y, _address(pod), colour=theme.FAINT)
