"""The topology's facts and graph."""

from __future__ import annotations

import msgspec
import pytest

from labkit import show
from labkit.net.place import Place
from labkit.show.graphs import FACTS

from . import samples


def test_title_and_facts() -> None:
    picture = show.topology(samples.topology())
    assert picture.title == "30 pods on 3 nodes in 2 zones"
    assert list(picture.facts.columns) == list(FACTS)
    assert list(picture.facts["kind"].unique()) == ["outside", "router", "switch", "node", "pod"]
    by_place = picture.facts.set_index("place")["linked to"]
    assert by_place["internet"] == "router (20 ms)"
    assert by_place["s-b"] == "node-3; router (100 Mbit/s, 2 ms)"
    assert by_place["default/web-1"] == "node-2"


def test_a_lab_and_plain_values_are_taken_alike() -> None:
    facts = samples.topology(2, 4)

    class Lab:
        def topology(self) -> dict[str, object]:
            return facts

    plain = {"places": msgspec.to_builtins(facts["places"]), "links": facts["links"]}
    assert repr(show.topology(Lab())) == repr(show.topology(plain)) == repr(show.topology(facts))


def test_the_graph_joins_every_pod_to_the_outside() -> None:
    import networkx

    graph = show.topology(samples.topology()).graph
    assert networkx.is_connected(graph)
    assert networkx.shortest_path(graph, "default/web-2", "internet") == [
        "default/web-2", "node-3", "s-b", "router", "internet",
    ]  # fmt: skip


def test_pods_without_a_node_are_listed() -> None:
    facts = samples.topology(1, 1)
    facts["places"].append(Place("default/pending", "pod", ""))
    picture = show.topology(facts)
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    assert "Not on a node yet: pending" in texts


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_links_in_any_order_give_the_same_picture(nodes: int) -> None:
    facts = samples.topology(nodes, 10)
    turned = {"places": facts["places"][::-1], "links": facts["links"][::-1]}
    assert show.topology(facts).png() == show.topology(turned).png()
