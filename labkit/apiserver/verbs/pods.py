"""Subresources of pods that are no streams of bytes: binding, eviction, log.

Source: kubernetes/pkg/registry/core/pod/storage/{storage,eviction}.go, pkg/registry/core/pod/strategy.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from labkit.apiserver import bodies, options
from labkit.apiserver.call import Call
from labkit.apiserver.duties import Evict, LogOptions, ReadLog
from labkit.apiserver.http.messages import TEXT, Answer, Sink, Stream
from labkit.apiserver.routes import TRUE
from labkit.apiserver.verbs import deleting
from labkit.control import status
from labkit.control.deletion import timestamp

Raw = dict[str, Any]


def bind(call: Call) -> Answer:
    """Put a pod on a node. Raises BadRequest, Conflict where it is on one."""
    dry_run = options.dry_run(call.request.query.get("dryRun", []))
    raw = bodies.asked(call.request, "v1", "Binding")
    name = call.route.name or (raw.get("metadata") or {}).get("name") or ""
    target: Raw = raw.get("target") or {}
    node = target.get("name")
    if (target.get("kind") or "Node") != "Node" or not node:
        raise status.bad_request("Binding: target must be a Node with a name")
    pod = call.store.get("Pod", call.route.namespace, name)
    if held := pod["spec"].get("nodeName"):
        raise status.conflict("Pod", name, f"pod {name} is already assigned to node {json_text(held)}")
    if "deletionTimestamp" in pod["metadata"]:
        raise status.conflict("Pod", name, f"pod {name} is being deleted, cannot be assigned to a host")

    def change(raw: Raw) -> None:
        raw["spec"]["nodeName"] = node
        told = raw.setdefault("status", {})
        others = [c for c in told.get("conditions") or () if c["type"] != "PodScheduled"]
        now = timestamp(call.store.now())
        told["conditions"] = [*others, {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}]

    call.write(dry_run, lambda: call.store.update("Pod", call.route.namespace, name, change))
    return success(201)


def evict(call: Call, do: Evict) -> Answer:
    """Delete a pod, if no PodDisruptionBudget is against it."""
    given = bodies.asked(call.request, "policy/v1", "Eviction", older="policy/v1beta1")  # AcceptsGroupVersion
    if (given.get("metadata") or {}).get("name") not in (None, "", call.route.name):
        raise status.bad_request("name in URL does not match name in Eviction object")
    wanted: Raw = given.get("deleteOptions") or {}
    deleting.parsed(call, wanted)  # that they make sense
    dry_run = options.dry_run([*(wanted.get("dryRun") or []), *call.request.query.get("dryRun", [])])
    call.write(dry_run, lambda: do(call.route.namespace, call.route.name, wanted))
    return success(201)


async def log(call: Call, read: ReadLog) -> Answer | Stream:
    """What a container wrote; with `follow` for as long as it runs."""
    pod = call.store.get(*call.route.key)
    wanted = log_options(call)
    pieces = await read(pod["metadata"]["uid"], call.request.first("container"), wanted)

    async def run(sink: Sink) -> None:
        async for piece in pieces:
            sink.write(piece)
            if sink.full:
                await sink.drain()

    return Stream(run, kind=TEXT)


def log_options(call: Call) -> LogOptions:
    """Raises BadRequest, Invalid."""
    request = call.request
    numbers: dict[str, int | None] = {}
    for name, least in (("sinceSeconds", 1), ("tailLines", 0), ("limitBytes", 1)):
        text = request.first(name)
        number = int(text) if text.removeprefix("-").isdecimal() and text.isascii() and len(text) < 19 else None
        if text and number is None:
            raise status.bad_request(f'strconv.ParseInt: parsing "{text[:100]}": invalid syntax')
        if number is not None and number < least:
            problem = f"{name}: Invalid value: {number}: must be greater than {'or equal to ' if not least else ''}0"
            raise options.invalid(problem, "PodLogOptions", "")
        numbers[name] = number
    since = request.first("sinceTime")
    if since and numbers["sinceSeconds"] is not None:
        raise options.invalid("sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
                              "PodLogOptions", "")  # fmt: skip
    if since and not _is_time(since):
        raise status.bad_request(f'parsing time "{since[:100]}" as RFC 3339: cannot parse')
    follow, previous, stamps = (request.first(name) in TRUE for name in ("follow", "previous", "timestamps"))
    return LogOptions(
        follow, previous, stamps, numbers["sinceSeconds"], since, numbers["tailLines"], numbers["limitBytes"]
    )


def success(code: int) -> Answer:
    told = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
    return Answer(msgspec.json.encode(told) + b"\n", code)


def json_text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return "T" in text
