"""What the API serves with the help of the nodes: subresources of pods, metrics; by its names for them.

What they need is imported when the first client asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from labkit.cluster.metrics import Metrics
from labkit.cluster.streams import Streams
from labkit.net.place import Place

if TYPE_CHECKING:
    from labkit.apiserver.api import Verb
    from labkit.apiserver.call import Call
    from labkit.apiserver.http.messages import Reply


def handlers(streams: Streams, place: Callable[[str], Place | None], metrics: Metrics) -> Mapping[str, Verb]:
    """`place` finds where a pod runs, by `namespace/name`."""

    def exec_(call: Call) -> Reply:
        from labkit.cluster import connect

        return connect.exec_(call, streams, place)

    def attach(call: Call) -> Reply:
        from labkit.cluster import connect

        return connect.attach(call, streams, place)

    def portforward(call: Call) -> Reply:
        from labkit.cluster import connect

        return connect.portforward(call, streams, place)

    def pod_metrics(call: Call) -> Awaitable[Reply]:
        from labkit.apiserver.verbs.metrics import pods

        return pods(call, metrics.all)

    def node_metrics(call: Call) -> Awaitable[Reply]:
        from labkit.apiserver.verbs.metrics import nodes

        return nodes(call, metrics.all)

    return {
        "nodes.metrics.k8s.io": node_metrics,
        "pods.metrics.k8s.io": pod_metrics,
        "pods/attach": attach,
        "pods/exec": exec_,
        "pods/portforward": portforward,
    }
