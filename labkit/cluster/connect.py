"""exec, attach and port-forward of pods: from a request to the API to the streams that carry it.

    request ── handshake ── which pod, which container, does it run? ── 101 ── streams

Source: pkg/registry/core/pod/strategy.go (streamLocation, validateContainer), pkg/kubelet/server/server.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import TEXT, Answer, Reply, Upgrade, Upgraded
from labkit.apiserver.streams import command, forward, handshake
from labkit.apiserver.streams import portforward as served
from labkit.apiserver.streams.ends import Process
from labkit.apiserver.streams.spdy_frames import ProtocolError
from labkit.apiserver.streams.taken import Taken
from labkit.cluster.containers import chosen
from labkit.cluster.streams import Streams
from labkit.control import status
from labkit.control.store import Raw
from labkit.net.place import Place

Find = Callable[[str], Place | None]


def exec_(call: Call, streams: Streams, place: Find) -> Reply:
    """Run a command in a container. Raises `ApiError`."""
    wanted = _options(call)
    if not any(wanted.command):
        raise status.bad_request("you must specify at least one command for the container")

    def start(where: Place, uid: str, container: str) -> Awaitable[Process]:
        return streams.exec(where, uid, container, wanted.command, wanted.stdin, wanted.tty)

    return _converse(call, wanted, place, start)


def attach(call: Call, streams: Streams, place: Find) -> Reply:
    """Attach to a running container. Raises `ApiError`."""
    return _converse(call, replace(_options(call), command=()), place, streams.attach)


def _converse(
    call: Call, wanted: command.Options, place: Find, start: Callable[[Place, str, str], Awaitable[Process]]
) -> Reply:
    pod, title = _pod(call)
    container = chosen(pod, wanted.container)
    accepted = handshake.accept(call.request.headers, handshake.COMMAND_CHANNELS, handshake.COMMAND_STREAMS)
    where = place(title)
    if where is None:
        return _kubelet_says(f'container not found ("{container}")')
    if why := _obstacle(pod, container):
        return _kubelet_says(why)
    process = partial(start, where, pod["metadata"]["uid"], container)

    async def serve(upgraded: Upgraded) -> None:
        await command.converse(accepted, Taken(*upgraded), wanted, process)

    return Upgrade(accepted.kind, serve, accepted.headers)


def portforward(call: Call, streams: Streams, place: Find) -> Reply:
    """Connect to ports of a pod. Raises `ApiError`."""
    pod, title = _pod(call)
    accepted = handshake.accept(call.request.headers, handshake.FORWARD_CHANNELS, handshake.FORWARD_STREAMS)
    ports: list[int] = []
    if accepted.kind == "websocket" and accepted.protocol != handshake.TUNNEL:
        try:
            ports = forward.ports(call.request.query)
        except ProtocolError as error:
            raise status.bad_request(error.message) from error
    where = place(title)
    if where is None:
        namespace, name = title.split("/")
        return _kubelet_says(f'pod not found ("{name}_{namespace}")')
    dial = partial(streams.dial, where)

    async def serve(upgraded: Upgraded) -> None:
        identity = pod["metadata"]["uid"].replace("-", "")
        await served.forward(accepted, Taken(*upgraded), ports, dial, identity)

    return Upgrade(accepted.kind, serve, accepted.headers)


def _pod(call: Call) -> tuple[Raw, str]:
    """The pod, which has a node, and its `namespace/name`. Raises `ApiError`."""
    kind, namespace, name = call.route.key
    pod = call.store.get(kind, namespace, name)
    if not pod["spec"].get("nodeName"):
        raise status.bad_request(f"pod {name} does not have a host assigned")
    return pod, f"{namespace}/{name}"


def _options(call: Call) -> command.Options:
    try:
        return command.options(call.request.query)
    except ProtocolError as error:
        raise status.bad_request(error.message) from error


def _obstacle(pod: Raw, name: str) -> str:
    """Why nothing can be run in a container, in the words of the kubelet and of containerd; empty where it can."""
    told = pod.get("status", {})
    statuses = [s for kind in ("containerStatuses", "initContainerStatuses") for s in told.get(kind, ())]
    found: Raw = next((s for s in statuses if s["name"] == name), {})
    if "running" in found.get("state", {}):
        return ""
    if "terminated" in found.get("state", {}) or found.get("lastState"):
        return "container is in CONTAINER_EXITED state"
    return f'container not found ("{name}")'


def _kubelet_says(why: str) -> Answer:
    """An error of the kubelet, which the API server hands on as it is."""
    return Answer(f"{why}\n".encode(), 500, TEXT)
