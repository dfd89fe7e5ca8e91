"""`kubectl apply` of a list of objects, as one change: all of them or, where one is refused, none.

    objects -> namespaces first -> each: create, or merge with what is stored -> admission
            (all in one transaction of the store: watchers see the end of it or nothing)

Source: kubectl/pkg/cmd/apply (client-side apply with its last-applied-configuration annotation; --server-side).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from labkit.api import convert
from labkit.api.problem import Problem
from labkit.api.schema import definition
from labkit.control import status
from labkit.control.admission import Admission, Options
from labkit.control.deletion import timestamp
from labkit.control.fields import server_side_apply
from labkit.control.merge import merge
from labkit.control.store import Raw, copy, key_of
from labkit.errors import ApiError

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
AS_KUBECTL = Options(manager="kubectl-client-side-apply")
"""Its name in `metadata.managedFields`: so kubectl, too, can go on with what was applied here, in either way."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Way(msgspec.Struct, frozen=True):
    """How objects are applied.

    namespace    of those that need one and name none
    server_side  by field ownership, as `kubectl apply --server-side`; `force`: fields of other managers are taken over
    """

    namespace: str = "default"
    server_side: bool = False
    force: bool = False


def apply(admission: Admission, objects: Sequence[Raw], way: Way = Way()) -> list[dict[str, str]]:  # noqa: B008  frozen
    """Bring the store to what the objects say; returns {kind, name, namespace, result} for each, in their order.

    `result` is created, configured, unchanged or serverside-applied. An object may live in a namespace that comes
    later in the list.
    Raises `ApiError` where anything is refused, with nothing stored: `details["status"]` is the first refusal,
    `details["refused"]` lists them all as {index, status, problems}.
    """
    results: list[dict[str, str]] = [{} for _ in objects]
    refused: list[tuple[int, ApiError]] = []
    with admission.store.transaction():
        for index in sorted(range(len(objects)), key=lambda index: objects[index].get("kind") != "Namespace"):
            try:
                results[index] = _apply(admission, objects[index], way)
            except ApiError as error:
                refused.append((index, error))
        if refused:
            raise _refusal(objects, sorted(refused, key=lambda item: item[0]))
    return results


def _apply(admission: Admission, given: Raw, way: Way) -> dict[str, str]:
    admission.check_structure(given)
    wanted = _placed(convert.to_stored(given), way.namespace if admission.resource(given).namespaced else "")
    kind, namespace, name = key_of(wanted)
    if not name and "generateName" in wanted["metadata"]:
        remedy = "Give it a metadata.name, or create it instead of applying it."
        problem = Problem("metadata.generateName", "cannot use generate name with apply", remedy)
        raise status.undecodable(wanted, [problem])
    current = admission.store.find(kind, namespace, name)
    if way.server_side:
        stored, result = _owned(admission, wanted, current, way.force), "serverside-applied"
    elif current is None:
        stored, result = admission.create(_annotated(wanted), AS_KUBECTL), "created"
    else:
        shape = definition(wanted["apiVersion"], kind) or {}
        last = msgspec.json.decode(current["metadata"].get("annotations", {}).get(LAST_APPLIED, "{}"))
        stored = admission.replace(merge(last, _annotated(wanted), current, shape), AS_KUBECTL)
        result = "unchanged" if stored is current else "configured"
    return {"kind": kind, "namespace": namespace, "name": stored["metadata"]["name"], "result": result}


def _owned(admission: Admission, wanted: Raw, current: Raw | None, force: bool) -> Raw:
    """What is stored once the manager "kubectl" owns the fields that it has applied. Raises Conflict."""
    now = timestamp(admission.store.now())
    made = server_side_apply(current, wanted, "kubectl", force, now, types=admission.shape(wanted))
    return admission.create(made) if current is None else admission.replace(made)


def _placed(given: Raw, namespace: str) -> Raw:
    """A copy of the object, in a namespace where it needs one."""
    wanted = copy(given)
    metadata = wanted["metadata"] = wanted.get("metadata") or {}
    if namespace:
        metadata["namespace"] = metadata.get("namespace") or namespace
    return wanted


def _annotated(wanted: Raw) -> Raw:
    """The object as kubectl sends it: with itself in an annotation."""
    metadata = wanted["metadata"]
    given = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    bare = {**wanted, "metadata": {**metadata, "annotations": given}}
    text = _encode(bare).decode() + "\n"
    return {**bare, "metadata": {**metadata, "annotations": {**given, LAST_APPLIED: text}}}


def _refusal(objects: Sequence[Raw], refused: Sequence[tuple[int, ApiError]]) -> ApiError:
    listed: list[dict[str, Any]] = [{"index": index, "problems": [], **error.details} for index, error in refused]
    messages = [error.message for _, error in refused]
    count = len(objects)
    if count > 1:
        messages.insert(0, f"nothing was applied: {len(refused)} of {count} objects were refused")
    return ApiError("\n".join(messages), status=refused[0][1].details["status"], refused=listed)
