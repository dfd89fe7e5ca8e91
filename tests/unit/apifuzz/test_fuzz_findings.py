"""What fuzzing has found, each once more by hand."""

from __future__ import annotations

from typing import Any

import pytest
from fuzz_bed import Bed
from fuzz_samples import DEFINITION, sample

APPS = "/apis/apps/v1/namespaces/default"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
APPLY = {"Content-Type": "application/apply-patch+yaml"}


def fields(got: Any) -> list[str]:
    return [cause["field"] for cause in got.json["details"]["causes"]]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"])
@pytest.mark.parametrize("body", [{}, {"spec": {}}])
def test_what_must_be_there_is_missed_even_where_there_is_no_spec(bed: Bed, kind: str, body: Any) -> None:
    got = bed.ask("POST", f"{APPS}/{kind.lower()}s", {"metadata": {"name": "a"}, **body})
    assert (got.status, got.json["reason"]) == (422, "Invalid")
    assert "spec.selector" in fields(got)


def test_a_replicaset_needs_a_template(bed: Bed) -> None:
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    got = bed.ask("POST", f"{APPS}/replicasets", {"metadata": {"name": "a"}, "spec": spec})
    assert (got.status, fields(got)) == (422, ["spec.template.spec.containers"])


def test_a_spec_left_out_is_an_empty_one(bed: Bed) -> None:
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    made = bed.ask("POST", path, {"metadata": {"name": "a"}})
    assert (made.status, made.json["spec"], bed.faults) == (201, {}, [])


def test_part_of_an_object_may_be_applied(bed: Bed) -> None:
    assert bed.ask("POST", f"{APPS}/deployments", {"metadata": {"name": "a"}, **sample("Deployment")}).status == 201
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}
    path = f"{APPS}/deployments/a?fieldManager=ada&force=true"
    got = bed.ask("PATCH", path, {**head, "spec": {"replicas": 3}}, headers=APPLY)
    assert (got.status, got.json["spec"]["replicas"]) == (200, 3)
    owned = [entry for entry in got.json["metadata"]["managedFields"] if entry["manager"] == "ada"]
    assert [entry["fieldsV1"] for entry in owned] == [{"f:spec": {"f:replicas": {}}}]
    new = bed.ask("PATCH", path.replace("/a?", "/b?"), {**head, "metadata": {"name": "b"}}, headers=APPLY)
    assert (new.status, new.json["reason"]) == (422, "Invalid")


ROLLING = {"type": "RollingUpdate"}


@pytest.mark.parametrize(
    ("kind", "strategy", "field"),
    [
        ("DaemonSet", {"type": "Recreate"}, ""),
        ("DaemonSet", {**ROLLING, "rollingUpdate": {"maxUnavailable": "../x"}}, ".rollingUpdate.maxUnavailable"),
        ("DaemonSet", {**ROLLING, "rollingUpdate": {"maxUnavailable": "101%"}}, ".rollingUpdate.maxUnavailable"),
        ("DaemonSet", {**ROLLING, "rollingUpdate": {"maxUnavailable": 0}}, ".rollingUpdate.maxUnavailable"),
        ("DaemonSet", {**ROLLING, "rollingUpdate": {"maxSurge": 1}}, ".rollingUpdate.maxSurge"),
        ("StatefulSet", {"type": "Recreate"}, ""),
        ("StatefulSet", {"type": "OnDelete", "rollingUpdate": {"partition": 1}}, ".rollingUpdate"),
        ("StatefulSet", {**ROLLING, "rollingUpdate": {"partition": -1}}, ".rollingUpdate.partition"),
        ("StatefulSet", {**ROLLING, "rollingUpdate": {"maxUnavailable": 0}}, ".rollingUpdate.maxUnavailable"),
    ],
)
def test_update_strategies(bed: Bed, kind: str, strategy: Any, field: str) -> None:
    spec = {**sample(kind)["spec"], "updateStrategy": strategy}
    got = bed.ask("POST", f"{APPS}/{kind.lower()}s", {"metadata": {"name": "a"}, "spec": spec})
    assert (got.status, fields(got)) == (422, [f"spec.updateStrategy{field}"])


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"succeededIndexes": "1,b"}, ".succeededIndexes"),
        ({"succeededIndexes": "1-0"}, ".succeededIndexes"),
        ({"succeededIndexes": "0-9"}, ".succeededIndexes"),
        ({"succeededIndexes": "0-1-2"}, ".succeededIndexes"),
        ({"succeededCount": 9}, ".succeededCount"),
        ({}, ""),
    ],
)
def test_rules_of_success(bed: Bed, rule: Any, field: str) -> None:
    spec = {**sample("Job")["spec"], "completionMode": "Indexed", "successPolicy": {"rules": [rule]}}
    got = bed.ask("POST", JOBS, {"metadata": {"name": "a"}, "spec": spec})
    assert (got.status, fields(got)) == (422, [f"spec.successPolicy.rules[0]{field}"])
    good = {**spec, "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 2}]}}
    assert bed.ask("POST", JOBS, {"metadata": {"name": "a"}, "spec": good}).status == 201


def test_more_pods_at_once_than_a_lab_can_bear(bed: Bed) -> None:
    spec = {**sample("Job")["spec"], "completions": 2**31 - 1, "parallelism": 2**31 - 1}
    got = bed.ask("POST", JOBS, {"metadata": {"name": "a"}, "spec": spec})
    assert (got.status, fields(got)) == (422, ["spec.parallelism"])


def test_amounts_and_families(bed: Bed) -> None:
    path = "/api/v1/namespaces/default"
    quota = bed.ask("POST", f"{path}/resourcequotas", {"metadata": {"name": "a"}, "spec": {"hard": {"pods": 1e300}}})
    assert quota.status == 400
    spec = {**sample("Service")["spec"], "ipFamilies": ["IPv4", "IPv4"]}
    service = bed.ask("POST", f"{path}/services", {"metadata": {"name": "a"}, "spec": spec})
    assert (service.status, fields(service)) == (422, ["spec.ipFamilies[1]"])


def test_a_name_that_a_service_has_beside_an_address_stays(bed: Bed) -> None:
    path = "/api/v1/namespaces/default/services"
    spec = {**sample("Service")["spec"], "externalName": "a.example"}
    made = bed.ask("POST", path, {"metadata": {"name": "a"}, "spec": spec}).json
    assert bed.ask("PUT", f"{path}/a", made).json["spec"] == made["spec"]


def test_the_status_of_a_custom_object_has_its_shape(bed: Bed) -> None:
    assert bed.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION).status == 201
    path = "/apis/kitchen.example/v1/namespaces/default/recipes"
    made = bed.ask("POST", path, {"metadata": {"name": "a"}, **sample("Recipe")}).json
    for status, code in (({"ready": "x"}, 422), (7, 422), ({"ready": 1}, 200)):
        assert bed.ask("PUT", f"{path}/a/status", {**made, "status": status}).status == code
    assert bed.ask("GET", f"{path}/a").json["status"] == {"ready": 1}


def test_a_status_that_somebody_wrote_stops_no_controller(bed: Bed) -> None:
    for kind, path, status in (
        ("Job", JOBS, {"failedIndexes": "b", "completedIndexes": "0-9999999999"}),
        ("CronJob", "/apis/batch/v1/namespaces/default/cronjobs", {"active": [{"name": "x"}]}),
    ):
        made = bed.ask("POST", path, {"metadata": {"name": "a"}, **sample(kind)}).json
        assert bed.ask("PUT", f"{path}/a/status", {**made, "status": status}).status in (200, 409)
        got = bed.ask("GET", f"{path}/a").json
        assert bed.ask("PUT", f"{path}/a/status", {**got, "status": {**got["status"], **status}}).status == 200
    assert bed.faults == []


def test_what_nobody_owns_of_the_metadata_stays(bed: Bed) -> None:
    path = "/apis/scheduling.k8s.io/v1/priorityclasses/a?fieldManager=eve"
    head = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 10}
    made = bed.ask("PATCH", path, {**head, "metadata": {"annotations": {}}}, headers=APPLY)
    again = bed.ask("PATCH", path, {**head, "metadata": {"name": "a"}}, headers=APPLY)
    assert (made.status, again.status) == (201, 200)
    assert again.json["metadata"]["uid"] == made.json["metadata"]["uid"]


def test_a_claim_has_a_name_and_a_deadline_may_be_far_away(bed: Bed) -> None:
    spec = {**sample("StatefulSet")["spec"], "volumeClaimTemplates": [{"spec": {}}]}
    got = bed.ask("POST", f"{APPS}/statefulsets", {"metadata": {"name": "a"}, "spec": spec})
    assert (got.status, fields(got)) == (422, ["spec.volumeClaimTemplates[0].metadata.name"])
    cron = {**sample("CronJob")["spec"], "startingDeadlineSeconds": 2**62}
    path = "/apis/batch/v1/namespaces/default/cronjobs"
    assert bed.ask("POST", path, {"metadata": {"name": "a"}, "spec": cron}).status == 201
    assert bed.faults == []
