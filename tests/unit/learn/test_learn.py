"""Claims, predictions, the glossary and the tree, as a learner meets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from labkit import learn
from labkit.errors import LabError, NotFound
from labkit.learn.curriculum import curriculum, point
from labkit.learn.glossary import all_terms

POINT = "services/clusterip/port-mapping"


def test_the_curriculum_is_whole() -> None:
    tree = curriculum()
    assert len(tree.items) == 287 == len({item.id for item in tree.items})
    assert len(tree.below("")) == 9
    groups = {group.id for group in tree.groups}
    assert all(item.id.rpartition("/")[0] in groups for item in tree.items if item.kind == "leaf")
    assert point(POINT).title == "Port Mapping: port -> targetPort"


@pytest.mark.parametrize("condition", [True, np.bool_(True), {"port": True, "path": np.True_}])
def test_a_true_claim_prints_its_point(condition: object, capsys: pytest.CaptureFixture[str]) -> None:
    learn.claim(POINT, condition, shows="80 becomes 8080")
    assert capsys.readouterr().out == f"✓ {POINT} | Port Mapping: port -> targetPort: 80 becomes 8080\n"


def test_a_false_claim_names_the_point_and_the_facts() -> None:
    with pytest.raises(AssertionError, match=r"^Port Mapping: port -> targetPort: not so here \(services/"):
        learn.claim(POINT, False)
    with pytest.raises(AssertionError, match="not so here: path; seen 81"):
        learn.claim(POINT, {"port": True, "path": False}, shows="seen 81")


@pytest.mark.parametrize("condition", ["yes", [False], None, 1, {}, {"port": "80"}])
def test_a_condition_that_is_no_condition(condition: object) -> None:
    with pytest.raises(TypeError):
        learn.claim(POINT, condition)


def test_an_unknown_point_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'services/clusterip/port-mapping'"):
        learn.claim("services/clusterip/port-maping", True)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "Observed: web-1. (No prediction was made.)"),
        ("web-1", "Observed: web-1, as you predicted."),
        ("web-2", "Observed: web-1. You predicted web-2: find out below what makes the difference."),
    ],
)
def test_reveal(answer: str | None, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    learn.predict("Which pod answers?", ["web-1", "web-2"], answer).reveal("web-1")
    assert capsys.readouterr().out == sentence + "\n"


def test_an_answer_outside_the_options() -> None:
    with pytest.raises(LabError, match="'c' is none of the options: a, b"):
        learn.predict("?", ["a", "b"], "c")


def test_prediction_widget_and_its_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import ipywidgets

    shown: list[dict[str, Any]] = []
    made: list[Any] = []
    radio = ipywidgets.RadioButtons
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    monkeypatch.setattr(ipywidgets, "RadioButtons", lambda **given: made.append(radio(**given)) or made[-1])
    prediction = learn.predict("Which <pod>?", ["web-1", "web-2"])
    prediction._ipython_display_()
    assert shown[0]["text/plain"] == "Predict: Which <pod>?\n  ( ) web-1\n  ( ) web-2"
    assert "application/vnd.jupyter.widget-view+json" in shown[0]
    made[0].value = "web-2"
    assert prediction.choice == "web-2"


def test_the_glossary() -> None:
    assert len(all_terms()) >= 40
    names = [term.name.casefold() for term in all_terms()]
    assert names == sorted(set(names))
    for term in all_terms():
        assert term.definition.endswith(".") and ". " not in term.definition.replace("e.g. ", ""), term.name
        assert not term.page.startswith("/") and " " not in term.page
    text = repr(learn.glossary("clusterip", "DNAT"))
    assert text.startswith("ClusterIP: A virtual address")
    assert "https://kubernetes.io/docs/concepts/services-networking/service/#type-clusterip" in text
    assert '<a href="https://kubernetes.io/docs/' in learn.glossary("dnat")._repr_html_()
    assert len(learn.glossary().terms) == len(all_terms())
    with pytest.raises(NotFound, match="did you mean 'clusterip'"):
        learn.glossary("ClusterIPs")


def test_the_tree_in_words() -> None:
    assert repr(learn.tree("ingress/ingressclass")).splitlines()[:2] == [
        "Kubernetes networking > Ingress > IngressClass",
        "  - Controller specification",
    ]
    assert repr(learn.tree(POINT)) == repr(learn.tree("services/clusterip"))
    assert repr(learn.tree("compare/cni/calico")) == repr(learn.tree("container-network-interface"))
    assert repr(learn.tree("flow/load-balancing")) == repr(learn.tree("flows"))
    assert "External Client -> Ingress -> Service" in repr(learn.tree("flows"))
    with pytest.raises(NotFound, match="did you mean 'services/clusterip'"):
        learn.tree("services/cluster-ip")


def test_the_tree_as_a_picture() -> None:
    data, _ = learn.tree("dns")._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["image/png"] == learn.tree("dns").png()


@pytest.mark.parametrize("here", ["", "flows", "performance-guidelines", *(group.id for group in curriculum().groups)])
def test_the_trees_text_stays_in_its_cells(here: str) -> None:
    figure = learn.tree(here).figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    cells = [patch.get_window_extent(renderer) for patch in axes.patches]
    for text in axes.texts:
        box = text.get_window_extent(renderer)
        assert box.x1 <= figure.bbox.x1 and box.y0 >= 0, text.get_text()
        touched = [cell for cell in cells if cell.overlaps(box)]
        assert all(
            cell.x0 <= box.x0 and box.x1 <= cell.x1 and cell.y0 <= box.y0 and box.y1 <= cell.y1 for cell in touched
        )
