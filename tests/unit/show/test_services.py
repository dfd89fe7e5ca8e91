"""What the pictures of Services say: who reached whom, who answers, what stands in between."""

from __future__ import annotations

import pytest
from pandas import DataFrame

from labkit import show
from labkit.errors import LabError

from . import samples


def asked(**counts: dict[str, int]) -> DataFrame:
    rows = [(node, pod) for node, pods in counts.items() for pod, number in pods.items() for _ in range(number)]
    return DataFrame(rows, columns=["client", "pod"])


@pytest.mark.parametrize(
    ("counts", "title"),
    [
        ({"a": {"x": 3, "y": 1}, "b": {"x": 1, "y": 3}}, "Each client reaches every pod"),
        ({"a": {"x": 3}, "b": {"y": 3}}, "Each client reaches one pod only"),
        ({"a": {"x": 3}, "b": {"x": 3}}, "Each client reaches one pod: x"),
        ({"a": {"x": 3}, "b": {"y": 1}, "c": {"": 2}}, "c reaches nobody; a and b reach 1 pod each"),
        ({"a": {"x": 3, "y": 1}, "b": {"x": 3}}, "b reaches 1 pod; a reaches every pod"),
        ({"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 1, "z": 1}}, "a reaches 2 pods; b reaches every pod"),
        ({"a": {"": 1}, "b": {"": 1}}, "a and b reach nobody"),
        ({}, "No requests to show"),
    ],
)
def test_who_reached_whom(counts: dict[str, dict[str, int]], title: str) -> None:
    assert show.matrix(asked(**counts), "client").title == title


def test_a_request_without_an_answer_has_a_column_of_its_own() -> None:
    picture = show.matrix(asked(a={"x": 3, "": 1}), "client")
    assert picture.facts.to_dict("records") == [{"client": "a", "x": 3, "no answer": 1}]
    assert "3" not in repr(picture.table)  # chance decides the counts: nbval must not compare them
    with pytest.raises(LabError, match="no column 'node'; they have client, pod"):
        show.matrix(asked(a={"x": 1}), "client", "node")


def test_backends_by_slice_with_conditions_and_hints() -> None:
    picture = show.backends(samples.objects(3, 2), "svc/web")
    assert picture.title == "4 of web's 5 endpoints are ready, in 2 EndpointSlices"
    rows = picture.facts.to_dict("records")
    assert [(row["slice"], row["pod"]) for row in rows] == [
        ("web-0", "web-3"), ("web-0", "web-1"), ("web-0", "web-2"), ("web-1", "web-4"), ("web-1", "web-5")
    ]  # fmt: skip
    (gone,) = (row for row in rows if not row["ready"])
    assert (gone["pod"], gone["serving"], gone["terminating"], gone["for zones"]) == ("web-1", True, True, "b")


def test_a_service_without_backends() -> None:
    assert show.backends(samples.objects(0), "web").title == "web has no endpoint"
    assert show.backends(samples.objects(), "web").title == "web has no EndpointSlice"


def test_a_long_table_of_backends_is_folded() -> None:
    picture = show.backends(samples.objects(100, 100, 50), "web")
    assert picture.folded == "the same as a table: 250 endpoints"
    assert picture.title == "249 of web's 250 endpoints are ready, in 3 EndpointSlices"


def test_each_type_has_what_the_next_one_has() -> None:
    picture = show.hierarchy(samples.objects(3), ["lb", "np", "web", "headless", "ext"])
    assert picture.title == "A LoadBalancer is a NodePort and more, a NodePort is a ClusterIP and more"
    rows = {row["service"]: row for row in picture.facts.to_dict("records")}
    assert (rows["lb"]["load balancer"], rows["lb"]["node port"], rows["lb"]["cluster IP"]) == (
        "198.51.100.1",
        "30081",
        "10.96.0.7",
    )
    assert rows["ext"]["other name"] == "pay.example.com"
    assert rows["web"]["ready endpoints"] == 2


def test_the_rows_of_a_matrix_are_in_the_order_of_their_numbers() -> None:
    hits = asked(**{"10.0.0.10": {"x": 1}, "10.0.0.9": {"x": 2}, "10.0.0.100": {"x": 3}})
    picture = show.matrix(hits, "client")
    assert list(picture.counts) == list(picture.facts.client) == ["10.0.0.9", "10.0.0.10", "10.0.0.100"]
    assert list(picture.facts.x) == [2, 1, 3]


def test_the_title_says_nothing_of_types_that_are_not_there() -> None:
    title = show.hierarchy(samples.objects(1), ["headless", "ext"]).title
    assert title == "What stands between a client and the endpoints"


def test_curves_say_what_becomes_of_them() -> None:
    data = DataFrame(
        {"pods": [10, 100, 1000] * 2, "kB sent": [1, 10, 99.6, 3, 26, 26.4], "object": ["E"] * 3 + ["S"] * 3}
    )
    picture = show.curves(data, "pods", "kB sent", "object")
    assert picture.title == "E grows to 99.6 kB, S levels off at 26.4 kB"
    assert picture.facts.to_dict("list") == {"pods": [10, 100, 1000], "E": [1, 10, 99.6], "S": [3, 26, 26.4]}
    varying = show.curves(data, "pods", "kB sent", "object", varies=True)
    assert varying.title == "E grows; S levels off"
    assert "26" not in repr(varying.table)


def test_a_measured_curve_is_level_where_chance_alone_moves_it() -> None:
    moved = {"a": [1.0, 1.1, 1.24], "b": [1.0, 1.1, 1.26], "c": [2.0, 1.8, 1.7]}
    points = [(name, n, ms) for name, values in moved.items() for n, ms in enumerate(values)]
    data = DataFrame(points, columns=["by", "n", "ms"])
    assert show.curves(data, "n", "ms", "by", varies=True).title == "b grows; a and c stay level"
    assert show.curves(data[:6], "n", "ms", "by").title == "a grows to 1.24 ms, b grows to 1.26 ms"


def test_curves_need_one_value_for_each_point() -> None:
    twice = DataFrame({"n": [1, 1], "ms": [2, 3], "by": ["a", "a"]})
    with pytest.raises(LabError, match="one value of 'ms' is needed"):
        show.curves(twice, "n", "ms", "by")
    with pytest.raises(LabError, match="at least one"):
        show.curves(twice[:0], "n", "ms", "by")
    with pytest.raises(LabError, match="no column 's'; they have n, ms, by"):
        show.curves(twice, "n", "s", "by")
