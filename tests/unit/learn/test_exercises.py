"""Exercises: what is right, and what a wrong answer is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from labkit import learn
from labkit.errors import NotFound
from labkit.learn.exercise import Exercise, judge
from labkit.learn.exercises import EXERCISES
from labkit.learn.hints import Hints

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


@pytest.mark.parametrize(
    ("lots", "told"),
    [
        ([0.25, 0.25, 0.25, 0.25], "nowhere else to go"),
        ([0.25, 0.25, 0.25, 1], "25%, 19%, 14%, 42%"),
        ([0.25, 0.5, 1], "you gave 3 numbers"),
        ([0.25, 0, 0.5, 1], "lies above 0"),
    ],
)
def test_lots_of_four(lots: list[float], told: str) -> None:
    assert told in judge(EXERCISES["kube-proxy/lots-of-four"], lots, Hints()).sentence
