"""The ports at which nodes tell load balancers of their health, as kube-proxy serves them.

store ── Services, EndpointSlices ──> a listener on every node for each healthCheckNodePort
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial

from labkit.api.objects import EndpointSlice, Service
from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.linux import netns
from labkit.net.place import Place
from labkit.proxy import healthcheck
from labkit.workloads.httpmessages import Request, Response
from labkit.workloads.httpserver import Listener


class HealthPorts:
    """Serves for as long as the lab lives; what is asked is answered by the objects as they are then."""

    def __init__(self, store: Store, nodes: Mapping[str, Place]) -> None:
        self._store = store
        self._nodes = nodes
        self._open: dict[str, tuple[int, list[Listener]]] = {}
        store.watch(["Service"], self._heard)

    def _heard(self, event: Event) -> None:
        service = self._store.typed(Service, event.object)
        wanted = healthcheck.ports([service]).get(service.key, 0) if event.type != "DELETED" else 0
        port, listeners = self._open.get(service.key, (0, []))
        if port == wanted:
            return
        self._open.pop(service.key, None)
        for listener in listeners:
            listener.close()
        if wanted:
            self._open[service.key] = wanted, self._listen(wanted, partial(self._of_service, service.key))

    def _listen(self, port: int, answer: Answering) -> list[Listener]:
        found = []
        for name, place in self._nodes.items():
            try:
                found.append(Listener(_socket(place.netns, port), partial(_respond, answer, name)))
            except OSError as error:
                print(f"{name} cannot listen at port {port}: {error}", file=sys.stderr)  # noqa: T201 - the lab's log
        return found

    def _of_service(self, key: str, node: str, _: Request) -> healthcheck.Answer:
        slices = (self._store.typed(EndpointSlice, raw) for raw in self._store.indexed("service", key))
        return healthcheck.of_service(key, healthcheck.local_endpoints(slices, node))


Answering = Callable[[str, Request], healthcheck.Answer]


def _respond(answer: Answering, node: str, request: Request) -> Response:
    found = answer(node, request)
    kind = "application/json" if found.status != 404 else "text/plain; charset=utf-8"
    return Response(found.body.encode(), found.status, kind, tuple(found.headers.items()))


def _socket(path: str, port: int) -> socket.socket:
    sock = netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("", port))
        sock.listen(128)
    except BaseException:
        sock.close()
        raise
    return sock
