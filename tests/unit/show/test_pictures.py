"""Every picture keeps its text inside the canvas and apart, and shows itself as one PNG and one table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from pandas import DataFrame

from labkit import show
from labkit.net.packet import Packet
from labkit.net.path import PacketPath

from . import samples


def hits(weights: dict[str, float], total: int, failed: int = 0) -> DataFrame:
    share = np.array(list(weights.values())) / sum(weights.values())
    names = np.random.default_rng(1).choice(list(weights), total, p=share)
    return DataFrame({"pod": [*map(str, names), *[None] * failed]})


def asked(counts: dict[str, dict[str, int]]) -> DataFrame:
    rows = [(node, pod) for node, pods in counts.items() for pod, number in pods.items() for _ in range(number)]
    return DataFrame(rows, columns=["node asked", "pod"])


def costs(curves: dict[str, list[float]]) -> DataFrame:
    rows = [(10**i, 10**i, y, y, by) for by, values in curves.items() for i, y in enumerate(values)]
    return DataFrame(rows, columns=["pods", "n", "kB", "ms", "by"])


def thrice_path() -> PacketPath:
    """Addresses that change between each two of three neighbouring hops: little room for each label."""
    path = samples.service_path()
    packets = [Packet("172.18.101.11", f"10.244.133.{n}", "TCP", 41000, 9080) for n in range(14)]
    request = tuple(msgspec.structs.replace(h, packet=packets[min(i, 5)]) for i, h in enumerate(path.request))
    return msgspec.structs.replace(path, packet=packets[0], request=request)


def ipv6_path() -> PacketPath:
    path = samples.service_path()
    before = Packet("fd00:10:244:1::1234:5", "fd00:10:96::abcd:7", "TCP", 41000, 9080)
    after = Packet("fd00:10:244:1::1234:5", "fd00:10:244:3::cdef:7", "TCP", 41000, 9080)
    wide = {hop: before if hop.packet == path.packet else after for hop in path.request}
    request = tuple(msgspec.structs.replace(hop, packet=packet) for hop, packet in wide.items())
    return msgspec.structs.replace(path, packet=before, request=request, reply=())


REVIEWS = {f"reviews-v{i}-545db77b95-x8k2{i}": 1.0 for i in range(1, 4)}
PTP = [samples.CROSS_ZONE[i] for i in (0, 1, 3, 10, 12, 13)]
SHAPES: dict[str, Callable[[], show.Picture]] = {
    "14 hops": lambda: show.path(samples.service_path()),
    "14 hops, IPv6": lambda: show.path(ipv6_path()),
    "many changes": lambda: show.path(thrice_path()),
    "6 hops": lambda: show.path(samples.service_path(PTP)),
    "hairpin": lambda: show.path(samples.hairpin_path()),
    "from a node": lambda: show.path(samples.node_path()),
    "no hop": lambda: show.path(samples.short_path(0, "timeout")),
    "1 hop": lambda: show.path(samples.short_path(1, "timeout")),
    "2 hops": lambda: show.path(samples.short_path(2)),
    "3 hops, rejected": lambda: show.path(samples.short_path(3, "rejected by rule KUBE-SERVICES 3", lost=4)),
    "9 hops, long outcome": lambda: show.path(samples.short_path(9, "rejected by rule " + "KUBE-LONG-" * 9)),
    "30 pods": lambda: show.topology(samples.topology()),
    "30 pods on one node": lambda: show.topology(samples.topology(1, 30)),
    "40 pods on 8 nodes": lambda: show.topology(samples.topology(8, 40)),
    "short names": lambda: show.topology(samples.topology(2, 9, long_names=False)),
    "no pods": lambda: show.topology(samples.topology(3, 0)),
    "nothing": lambda: show.topology({"places": [], "links": []}),
    "even": lambda: show.distribution(hits(REVIEWS, 3000)),
    "uneven, failures": lambda: show.distribution(hits({"a": 9, "b": 1}, 300, 12)),
    "20 pods": lambda: show.distribution(hits({f"web-{i}": 1 for i in range(20)}, 5000)),
    "long name": lambda: show.distribution(hits({"x" * 80: 1, "y": 1}, 50)),
    "one pod": lambda: show.distribution(hits({"web-0": 1}, 100)),
    "no rows": lambda: show.distribution(DataFrame({"pod": []})),
    "failures only": lambda: show.distribution(hits({"a": 1}, 0, 5)),
    "matrix": lambda: show.matrix(asked({"node-1": {"web-1": 9, "": 1}, "node-2": {"web-2": 5}}), "node asked"),
    "matrix, long names": lambda: show.matrix(
        asked({"n" * 60: {f"web-{'x' * 40}-{i}": 1 for i in range(7)}}), "node asked"
    ),
    "matrix of nothing": lambda: show.matrix(asked({}), "node asked"),
    "backends": lambda: show.backends(samples.objects(3, 2), "web"),
    "250 backends": lambda: show.backends(samples.objects(100, 100, 50), "web"),
    "backends, long names": lambda: show.backends(samples.objects(4, suffix="-" + "x" * 50), "web"),
    "no backends": lambda: show.backends(samples.objects(0), "web"),
    "no slice": lambda: show.backends(samples.objects(), "web"),
    "curves": lambda: show.curves(costs({"Endpoints": [1, 10, 100], "EndpointSlice": [2, 3, 3]}), "pods", "kB", "by"),
    "curves that end alike": lambda: show.curves(costs({name: [1, 2] for name in "abcde"}), "n", "ms", "by"),
    "a curve of one point": lambda: show.curves(costs({"x" * 30: [0]}), "n", "ms", "by", varies=True),
    "hierarchy": lambda: show.hierarchy(samples.objects(3), ["lb", "np", "web", "headless", "ext"]),
}


def boxes(figure: Figure) -> list[tuple[str, Any]]:
    """Every visible text with the rectangle that it covers, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts if text.get_visible()]


def drawn_ticks(figure: Figure) -> set[str]:
    """Tick labels outside the axis' range are made, but not drawn."""
    return {
        label.get_text()
        for axes in figure.axes
        for low, high in [sorted(axes.get_xlim())]
        for label in axes.get_xticklabels()
        if not low <= label.get_position()[0] <= high
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_text_stays_inside_and_apart(shape: str) -> None:
    figure = SHAPES[shape]().figure
    found = [(text, box) for text, box in boxes(figure) if text not in drawn_ticks(figure)]
    width, height = figure.canvas.get_width_height()
    for text, box in found:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, f"{text!r} leaves the picture"
    for i, (text, box) in enumerate(found):
        for other, other_box in found[i + 1 :]:
            across = min(box.x1, other_box.x1) - max(box.x0, other_box.x0)
            down = min(box.y1, other_box.y1) - max(box.y0, other_box.y0)
            assert across <= 1 or down <= 3, f"{text!r} overlaps {other!r}"  # 3 pixels: room for descenders


def test_one_picture_and_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    displayed: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda value, **_: displayed.append(value))
    picture = show.path(samples.service_path())
    picture._ipython_display_()
    image, table = displayed
    assert image["image/png"].startswith(b"\x89PNG")
    assert image["text/plain"] == picture.title
    assert "text/html" not in image  # the PNG stays out of what nbval compares
    assert "KUBE-SEP-X7EXRIWZ4B4O5WQG rule 2" in table._repr_html_()


def test_the_same_facts_give_the_same_bytes() -> None:
    assert show.path(samples.node_path()).png() == show.path(samples.node_path()).png()


def test_the_notebooks_own_style_does_not_matter() -> None:
    import matplotlib

    plain = show.distribution(hits(REVIEWS, 300)).png()
    with matplotlib.rc_context({"figure.dpi": 50, "font.size": 30, "savefig.facecolor": "black"}):
        assert show.distribution(hits(REVIEWS, 300)).png() == plain


def test_save_writes_what_the_ending_says(tmp_path: Path) -> None:
    picture = show.topology(samples.topology(2, 3))
    picture.save(tmp_path / "lab.svg")
    picture.save(str(tmp_path / "lab.png"))
    assert "<svg" in (tmp_path / "lab.svg").read_text()
    assert (tmp_path / "lab.png").read_bytes().startswith(b"\x89PNG")
