"""What containers wrote, as the API's `log` subresource gives it.

Source: LogLocation of pkg/registry/core/pod/strategy.go, validateContainerLogStatus of pkg/kubelet/kubelet_pods.go,
pkg/kubelet/kuberuntime/logs/logs.go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from labkit.apiserver.duties import LogOptions
from labkit.cluster.containers import chosen
from labkit.control import status
from labkit.control.store import Raw, Store
from labkit.errors import NotFound
from labkit.sandbox.channel import Peer


class Logs:
    """Reads the logs that the workload process keeps, a chunk at a time: as fast as whoever asked takes them."""

    def __init__(self, store: Store, roles: Mapping[str, Peer]) -> None:
        self._store = store
        self._roles = roles

    async def logs(self, pod_uid: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The log of a container (an empty name: the only one), in chunks.

        With `follow` they go on until the container ends. Raises `NotFound` for the pod, `ApiError` (400) for a
        container that is not there, has not started, or has no previous log.
        """
        pod = next((p for p in self._store.list("Pod") if p["metadata"]["uid"] == pod_uid), None)
        if pod is None:
            raise NotFound(f"no pod has the uid {pod_uid}")
        name = chosen(pod, container)
        _check(pod, name, options.previous)
        try:
            opened = await self._roles["workload"].call(
                "open_log",
                uid=pod_uid,
                container=name,
                previous=options.previous,
                tail=options.tail_lines,
                since=self._since(options),
            )
        except NotFound:  # it is just about to start, or has gone
            return _nothing()
        return self._chunks(pod_uid, name, opened["run"], opened["start"], options)

    async def _chunks(
        self, uid: str, container: str, run: int, start: int, options: LogOptions
    ) -> AsyncIterator[bytes]:
        left = options.limit_bytes
        while left is None or left > 0:
            found = await self._roles["workload"].call(
                "read_log",
                uid=uid,
                container=container,
                run=run,
                start=start,
                timestamps=options.timestamps,
                wait=options.follow,
            )
            start, data = found["next"], found["data"][:left]
            if data:
                left = left if left is None else left - len(data)
                yield data
            if found["ended"] or not (data or options.follow):
                return

    def _since(self, options: LogOptions) -> int:
        """Nanoseconds since the epoch."""
        if options.since_seconds is not None:
            return int((self._store.now().timestamp() - options.since_seconds) * 1e9)
        if options.since_time:
            return int(datetime.fromisoformat(options.since_time).timestamp() * 1e9)
        return 0


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _check(pod: Raw, name: str, previous: bool) -> None:
    title = pod["metadata"]["name"]
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {title} does not have a host assigned")
    told = pod.get("status", {})
    every = (*(told.get("containerStatuses") or ()), *(told.get("initContainerStatuses") or ()))
    found: Raw = next((s for s in every if s["name"] == name), {})
    state, last = found.get("state") or {}, found.get("lastState") or {}
    if previous:
        if "terminated" not in last:
            raise status.bad_request(f'previous terminated container "{name}" in pod "{title}" not found')
    elif "running" not in state and "terminated" not in state and "terminated" not in last:
        reason = state.get("waiting", {}).get("reason", "ContainerCreating")
        raise status.bad_request(f'container "{name}" in pod "{title}" is waiting to start: {reason}')
