"""Objects of every kind, made strange, written in every way: no fault of the server, nothing half-written, every watch
sees what is stored."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from fuzz_bed import Bed, Got, Watch
from fuzz_samples import DEFINITION, SPEC, sample
from fuzz_values import strange, typed
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from labkit.api import schema
from labkit.api.resources import ALSO_SERVED, STORED, Resource

Raw = dict[str, Any]

RECIPE = Resource("Recipe", "kitchen.example/v1", "recipes", subresources=("scale", "status"), custom=True)
RESOURCES = (*STORED, *ALSO_SERVED, RECIPE)
PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
WAYS = ("create", "create", "put", "put", *PATCHES, "status", "status patch", "scale", "evict", "delete", "collection")
QUERIES = ("", "", "", "?dryRun=All", "?fieldValidation=Strict", "?fieldValidation=Ignore", "?fieldManager=ada",
           "?dryRun=Some", "?fieldValidation=x", "?pretty=true&fieldManager=%00")  # fmt: skip
OPTIONS = (
    None, {}, {"gracePeriodSeconds": 0}, {"gracePeriodSeconds": -1}, {"propagationPolicy": "Orphan"},
    {"propagationPolicy": "Foreground"}, {"propagationPolicy": "Sideways"}, {"orphanDependents": True},
    {"preconditions": {"uid": "x"}}, {"preconditions": {"resourceVersion": "1"}}, {"dryRun": ["All"]}, {"dryRun": [1]},
    {"gracePeriodSeconds": 2**31}, {"gracePeriodSeconds": "1"}, {"preconditions": []}, {"kind": "Pod"}, [], "x", 7,
)  # fmt: skip
OPERATIONS = ("add", "remove", "replace", "copy", "move", "test", "x")
POINTERS = (
    "/spec", "/spec/replicas", "/metadata/labels", "/data/a", "/spec/template/spec/containers/0/name", "/", "", "/~2",
    "/spec/containers/-", "/spec/ports/0", "/spec/ports/9", "/rules/-", "/metadata/name", "/kind",
)  # fmt: skip
SELECTORS = (
    "",
    "?labelSelector=app%3Dweb",
    "?labelSelector=!",
    "?fieldSelector=metadata.name%3Da",
    "?limit=-1",
)


def without(raw: Raw, *fields: str) -> Raw:
    return {field: value for field, value in raw.items() if field not in fields}


class Writer:
    """Makes the requests of one example about one kind, and looks at what came of each."""

    def __init__(self, bed: Bed, resource: Resource) -> None:
        self.bed = bed
        self.resource = resource
        group = "/api/" if not resource.group else "/apis/"
        self.everywhere = f"{group}{resource.api_version}/{resource.plural}"
        place = "namespaces/default/" if resource.namespaced else ""
        self.collection = f"{group}{resource.api_version}/{place}{resource.plural}"
        self.version = self.began = int(bed.plane.store.version)
        if resource.custom:
            self.definition: Raw = {"type": "object", "properties": {"spec": SPEC}}
        else:
            self.definition = schema.definition(resource.api_version, resource.kind) or {}

    def head(self, name: str) -> Raw:
        return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, "metadata": {"name": name}}

    def write(self, way: str, chance: Random) -> None:
        name = {"IPAddress": "10.96.0.50", "CustomResourceDefinition": "forks.kitchen.example"}.get(
            self.resource.kind, chance.choice("ab")
        )
        name = "v1.b.example" if self.resource.kind == "APIService" else name
        got = self._request(way, name, chance)
        self.check(got)
        if got.status < 300:
            self.look(name)

    def _request(self, way: str, name: str, chance: Random) -> Got:
        query, path = chance.choice(QUERIES), f"{self.collection}/{name}"
        subs = self.resource.subresources
        match way:
            case "create":
                return self._send("POST", f"{self.collection}{query}", self._new(name, chance))
            case "put":
                return self._send("PUT", f"{path}{query}", self._next(name, chance))
            case "status" | "status patch" if self.resource.kind == "CustomResourceDefinition":
                return self.bed.ask("GET", path)  # its stored versions may be written freely, and then bind its spec
            case "status" if "status" in subs:
                made = self._next(name, chance)
                return self._send("PUT", f"{path}/status{query}", made | self._status(chance))
            case "status patch" if "status" in subs:
                kind = chance.choice(("merge", "strategic", "apply"))
                body = self._status(chance) if kind != "apply" else self.head(name) | self._status(chance)
                return self._patch(f"{path}/status", kind, body, chance)
            case "scale" if "scale" in subs:
                return self._scale(path, chance)
            case "evict" if "eviction" in subs:
                options = chance.choice(OPTIONS)
                return self._send("POST", f"{path}/eviction", {"metadata": {"name": name}, "deleteOptions": options})
            case "delete":
                return self._send("DELETE", path, chance.choice(OPTIONS))
            case "collection":
                return self._send("DELETE", self.collection + chance.choice(SELECTORS), chance.choice(OPTIONS))
            case "json":
                return self._patch(path, "json", self._steps(chance), chance)
            case "apply":
                return self._patch(path, "apply", self._new(name, chance), chance)
            case "merge" | "strategic":
                return self._patch(path, way, self._new(name, chance), chance)
            case _:
                return self.bed.ask("GET", path)

    def _new(self, name: str, chance: Random) -> Raw:
        good = self.head(name) | sample(self.resource.kind)
        return strange(good, self.definition, chance, chance.choice((0, 1, 1, 2, 4)))

    def _next(self, name: str, chance: Random) -> Any:
        """What is stored, somewhat changed."""
        got = self.bed.ask("GET", f"{self.collection}/{name}")
        if got.status != 200:
            return self._new(name, chance)
        return strange(got.json, self.definition, chance, chance.choice((0, 1, 1, 2)))

    def _status(self, chance: Random) -> Raw:
        known = self.definition.get("properties", {}).get("status", {})
        return {"status": typed(known, chance, 5)}

    def _patch(self, path: str, kind: str, body: Any, chance: Random) -> Got:
        query = "?fieldManager=eve" if kind == "apply" else ""
        if kind == "apply" and chance.random() < 0.5:
            query += "&force=true"
        return self._send("PATCH", path + query, body, PATCHES[kind])

    def _steps(self, chance: Random) -> Any:
        """A JSON patch."""
        return [
            {"op": chance.choice(OPERATIONS), "path": chance.choice(POINTERS), "from": chance.choice(POINTERS),
             "value": typed({}, chance, 2)}
            for _ in range(chance.choice((0, 1, 1, 2)))
        ]  # fmt: skip

    def _scale(self, path: str, chance: Random) -> Got:
        asked = {"spec": {"replicas": chance.choice((0, 1, 3, -1, 2**31, "2", None, 1.5))}}
        if chance.random() < 0.5:
            return self._patch(f"{path}/scale", chance.choice(("merge", "json")), asked, chance)
        return self._send("PUT", f"{path}/scale", asked)

    def _send(self, method: str, path: str, body: Any, media: str = "application/json") -> Got:
        data = None if body is None else json.dumps(body).encode()
        note(f"{method} {path} {media} {data!r}")
        got = self.bed.ask(method, path, data, headers={"Content-Type": media})
        note(f"  -> {got.status} {got.body[:300]!r}")
        return got

    def check(self, got: Got) -> None:
        """An answer is what was asked for, or says what was wrong with it; versions rise."""
        assert got.status < 500, got.body
        told = got.json
        if got.status >= 400:
            assert (told["kind"], told["code"], told["status"]) == ("Status", got.status, "Failure")
            assert told["message"]
        version = int(self.bed.plane.store.version)
        assert version >= self.version
        self.version = version

    def look(self, name: str) -> None:
        """What is stored now is whole: the server would take it again as it is."""
        got = self.bed.ask("GET", f"{self.collection}/{name}")
        if got.status == 404:
            return
        assert got.status == 200
        assert int(got.json["metadata"]["resourceVersion"]) <= self.version
        again = self.bed.ask("PUT", f"{self.collection}/{name}?dryRun=All", got.json)
        assert again.status == 200, (again.body, got.body)
        # Not the metadata: a Job without labels takes over its template's, which the server has completed meanwhile.
        assert without(again.json, "metadata") == without(got.json, "metadata")

    def compare(self, watch: Watch) -> None:
        """The watch has told of every change in order, and nothing else."""
        store = self.bed.plane.store
        changes = [event.version for event in store.history.since(self.resource.key, self.began)]
        if changes:
            watch.until(changes[-1])
        assert watch.versions == changes
        listed = self.bed.ask("GET", self.everywhere).json["items"]
        found = {(raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in listed}
        head = ("apiVersion", "kind")  # the items of a list may have none
        told = {place: without(raw, *head) for place, raw in watch.objects.items()}
        assert told == {place: without(raw, *head) for place, raw in found.items()}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: f"{r.kind}-{r.version}")
@given(st.lists(st.tuples(st.sampled_from(WAYS), st.integers(0, 2**32)), min_size=1, max_size=16))
@settings(max_examples=12, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_written(resource: Resource, steps: Any) -> None:
    with Bed() as bed:
        if resource.custom:
            assert bed.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION).status == 201
        writer = Writer(bed, resource)
        watch = bed.watch(writer.everywhere)
        for way, seed in steps:
            writer.write(way, Random(seed))
        writer.compare(watch)
        watch.close()
        assert bed.faults == []
