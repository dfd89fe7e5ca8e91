"""metrics.k8s.io: what pods and nodes take of the processor and of memory, as metrics-server tells it.

    containers' figures by pod ── PodMetrics ── summed up over the pods of a node ── NodeMetrics

Source: metrics-server/pkg/api/{pod,node}.go; k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from labkit.apiserver import options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.render import Renderer
from labkit.apiserver.verbs import reading
from labkit.control import status
from labkit.control.deletion import timestamp

Raw = dict[str, Any]
Figures = Mapping[str, Mapping[str, tuple[int, int]]]
"""By uid of the pod and name of the container: billionths of a CPU, bytes of memory."""
Measure = Callable[[], Awaitable[Figures]]

WINDOW = "1s"


async def pods(call: Call, measure: Measure) -> Answer:
    """Get and list of PodMetrics. Raises NotFound for a pod that does not run."""
    figures, now = await measure(), timestamp(call.store.now())
    running = [raw for raw in call.store.list("Pod", call.route.namespace or None) if _runs(raw, figures)]
    return _answer(call, [_pod(raw, figures[raw["metadata"]["uid"]], now) for raw in running])


async def nodes(call: Call, measure: Measure) -> Answer:
    """Get and list of NodeMetrics: of nodes that are ready. Raises NotFound."""
    figures, now = await measure(), timestamp(call.store.now())
    taken: dict[str, list[tuple[int, int]]] = {node["metadata"]["name"]: [] for node in call.store.list("Node")}
    for raw in call.store.list("Pod"):
        if _runs(raw, figures):
            taken.setdefault(raw["spec"].get("nodeName", ""), []).extend(figures[raw["metadata"]["uid"]].values())
    return _answer(
        call,
        [
            {**_head(node, "NodeMetrics", now), "usage": _usage(taken[node["metadata"]["name"]])}
            for node in call.store.list("Node")
            if _ready(node)
        ],
    )


def _answer(call: Call, found: list[Raw]) -> Answer:
    renderer = Renderer(call.store, call.resource, dict, call.renderer.form)
    if name := call.route.name:
        for raw in found:
            if raw["metadata"]["name"] == name:
                return renderer.one(raw)
        place = f"{call.route.namespace}/{name}" if call.resource.namespaced else name
        raise status.not_found(call.resource, place)
    selects = reading.selecting(call, options.listing(call.request, watching=False))
    return renderer.many([raw for raw in found if selects(raw)], {})


def _runs(pod: Raw, figures: Figures) -> bool:
    return bool(figures.get(pod["metadata"]["uid"])) and pod.get("status", {}).get("phase") == "Running"


def _ready(node: Raw) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _pod(pod: Raw, figures: Mapping[str, tuple[int, int]], now: str) -> Raw:
    containers = [{"name": name, "usage": _usage([taken])} for name, taken in sorted(figures.items())]
    return {**_head(pod, "PodMetrics", now), "containers": containers}


def _head(raw: Raw, kind: str, now: str) -> Raw:
    names = ("name", "namespace", "labels")
    metadata = {name: raw["metadata"][name] for name in names if raw["metadata"].get(name)}
    return {
        "kind": kind,
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {**metadata, "creationTimestamp": now},
        "timestamp": now,
        "window": WINDOW,
    }


def _usage(taken: Iterable[tuple[int, int]]) -> Raw:
    listed = list(taken)
    return {"cpu": f"{sum(cpu for cpu, _ in listed)}n", "memory": f"{sum(size for _, size in listed) // 1024}Ki"}
