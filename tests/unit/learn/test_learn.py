"""Claims, predictions, exercises, the glossary and the tree, as a learner meets them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from labkit import learn
from labkit.errors import LabError, NotFound
from labkit.learn.curriculum import curriculum, point
from labkit.learn.exercise import Exercise, judge
from labkit.learn.exercises import EXERCISES
from labkit.learn.glossary import all_terms
from labkit.learn.hints import Hints

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


GOOD = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


def test_wrong_answers_earn_one_hint_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert not learn.check("services/port-mapping", GOOD.replace("8080", "80"))
    assert capsys.readouterr().out == (
        "Packets would go to port 80 of the pods, where nothing listens.\n"
        "Hint 1 of 3: A Service finds its pods by spec.selector.\n"
    )
    for hint in ("Hint 2 of 3", "Hint 3 of 3", "That was the last hint"):
        assert not learn.check("services/port-mapping", {})
        assert hint in capsys.readouterr().out
    assert learn.check("services/port-mapping", GOOD)
    assert capsys.readouterr().out == "Right.\n"
    assert not learn.check("services/port-mapping", None)
    assert "Hint 1 of 3" in capsys.readouterr().out


def explode(answer: object) -> bool:
    raise ZeroDivisionError("division by zero.\nmore")


ODD: list[object] = [
    None,
    ...,
    3,
    2.5,
    "",
    ": : :",
    "a: [",
    b"\xff",
    [],
    {},
    object(),
    int,
    explode,
    np.array([1, 2]),
    {"kind": []},
]


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", ODD, ids=lambda answer: type(answer).__name__)
def test_no_answer_brings_a_traceback(name: str, answer: object) -> None:
    verdict = judge(EXERCISES[name], answer, Hints())
    assert not verdict
    assert verdict.sentence.endswith((".", ":")) and "\n" not in verdict.sentence
    assert verdict.hint


@pytest.mark.parametrize("found", [False, None, 1, "", np.array([1, 2])])
def test_only_true_is_right(found: Any) -> None:
    assert not judge(Exercise("x", "t", ("h",), lambda _: found), 1, Hints())


def test_the_error_of_a_learners_function_is_one_sentence() -> None:
    verdict = judge(Exercise("x", "t", (), lambda answer: answer(1)), explode, Hints())
    assert verdict.sentence == "Checking this answer ended with ZeroDivisionError: division by zero."
    assert judge(Exercise("x", "t", (), lambda answer: answer(1)), exit, Hints()).sentence.startswith("Checking")


def test_an_unknown_exercise_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'services/port-mapping'"):
        learn.check("services/port-maping", 1)


def test_session_affinity() -> None:
    spec = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    service = {"apiVersion": "v1", "kind": "Service", "spec": spec}
    assert judge(EXERCISES["services/session-affinity"], service, Hints())
    del spec["sessionAffinityConfig"]
    assert "10800 seconds" in judge(EXERCISES["services/session-affinity"], service, Hints()).sentence


SERVICES = {
    "services/nodeport-for-the-world": (
        {
            "type": "NodePort",
            "externalTrafficPolicy": "Local",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": "http", "nodePort": 30080}],
        },
        {
            "opens no port": {"type": "ClusterIP"},
            "port that is drawn": {"ports": [{"port": 80, "targetPort": "http"}]},
            "Nothing would answer": {"selector": {"app": "shop"}},
            "see a node as the client": {"externalTrafficPolicy": "Cluster"},
        },
    ),
    "services/for-partners-only": (
        {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "loadBalancerSourceRanges": ["203.0.113.0/24"],
        },
        {
            "no cloud gives": {"type": "NodePort"},
            "Clients of everywhere": {"loadBalancerSourceRanges": []},
            "see a node as the client": {"externalTrafficPolicy": "Cluster"},
        },
    ),
    "services/alias-across-namespaces": (
        {"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"},
        {"pods or endpoints": {"type": "ClusterIP"}, "no Service is called so": {"externalName": "web.shop"}},
    ),
}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_right_or_is_told_what_is_wrong(name: str) -> None:
    spec, faults = SERVICES[name]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop", "namespace": "office"}, "spec": spec}
    assert judge(EXERCISES[name], service, Hints())
    for sentence, wrong in faults.items():
        verdict = judge(EXERCISES[name], {**service, "spec": {**spec, **wrong}}, Hints())
        assert not verdict
        assert sentence in verdict.sentence
    assert "v1 Pod" in judge(EXERCISES[name], {"apiVersion": "v1", "kind": "Pod"}, Hints()).sentence


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


def test_one_member_is_asked_and_no_other() -> None:
    import pandas as pd

    exercise = EXERCISES["services/url-of-a-member"]
    for pods, errors, sentence in [
        (["db-2", "db-2"], ["", ""], "Right."),
        (["db-2", "db-0"], ["", ""], "It was answered, but by db-0 too."),
        (["", ""], ["connection refused", ""], "The request failed: connection refused."),
    ]:
        assert judge(exercise, pd.DataFrame({"pod": pods, "error": errors}), Hints()).sentence == sentence


def test_endpoints_by_hand() -> None:
    exercise = EXERCISES["endpoints/by-hand"]
    subset = {"addresses": [{"ip": "203.0.113.10"}], "ports": [{"port": 80}]}
    meta = {"name": "mail", "namespace": "shop"}
    right = {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [subset]}
    for sentence, wrong in {
        "Right.": {},
        "This is v1 Service; v1 Endpoints is asked for.": {"kind": "Service"},
        "These are of the Service mail in the namespace default.": {"metadata": {"name": "mail"}},
        "Packets would go to nobody.": {"subsets": []},
        "They would go to port 25.": {"subsets": [{**subset, "ports": [{"port": 25}]}]},
    }.items():
        assert judge(exercise, {**right, **wrong}, Hints()).sentence == sentence
    assert "not a manifest" in judge(exercise, "Endpoints", Hints()).sentence


def test_a_slice_by_hand() -> None:
    exercise = EXERCISES["endpoints/slice-by-hand"]
    meta = {"name": "x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "mail"}}
    more = {"addressType": "IPv4", "endpoints": [{"addresses": ["203.0.113.10"]}], "ports": [{"port": 80}]}
    right = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, **more}
    for sentence, wrong in {
        "Right.": {},
        "This is v1 EndpointSlice; discovery.k8s.io/v1 EndpointSlice is asked for.": {"apiVersion": "v1"},
        "It would be of the Service None in the namespace shop.": {"metadata": {**meta, "labels": {}}},
        "Its addressType is None, and the address is an IPv4 one.": {"addressType": None},
        "Packets would go to nobody.": {"endpoints": None},
        "They would go to port none.": {"ports": []},
    }.items():
        assert judge(exercise, {**right, **wrong}, Hints()).sentence == sentence


def test_which_type() -> None:
    from labkit.learn.exercises.services import SITUATIONS

    exercise = EXERCISES["services/which-type"]
    assert judge(exercise, {situation: kind.lower() for situation, kind in SITUATIONS.items()}, Hints())
    office = "a quick look from the office at a test cluster without a cloud"
    for kind in ("LoadBalancer", "ClusterIP"):
        verdict = judge(exercise, {**SITUATIONS, office: kind}, Hints())
        assert verdict.sentence == f"For {office}, {kind} is not the one to take."
    assert "nothing is not the one" in judge(exercise, {}, Hints()).sentence
