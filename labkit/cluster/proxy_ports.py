"""The addresses at which a node's kube-proxy tells of itself: healthzBindAddress and metricsBindAddress."""

from __future__ import annotations

import socket
from collections.abc import Callable

from labkit.linux import netns
from labkit.proxy.healthcheck import Answer
from labkit.proxy.kube_proxy import KubeProxy
from labkit.workloads.httpmessages import Request, Response
from labkit.workloads.httpserver import Listener

Page = Callable[[str], Answer]


class ProxyPorts:
    """Serves a proxy's pages on its node until `close`. `failed`: told why an address cannot be had."""

    def __init__(self, proxy: KubeProxy, failed: Callable[[str, OSError], None]) -> None:
        self._listeners: list[Listener] = []
        config = proxy.settings.config
        for address, page in ((config.healthz_bind_address, proxy.healthz), (config.metrics_bind_address, proxy.page)):
            if not address:
                continue
            try:
                self._listeners.append(Listener(_listening(proxy.path, address), _handler(page)))
            except OSError as error:
                failed(address, error)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()


def _handler(page: Page) -> Callable[[Request], Response]:
    def handle(request: Request) -> Response:
        answer = page(request.target.partition("?")[0])
        headers = dict(answer.headers)
        kind = headers.pop("Content-Type", "application/json" if answer.status != 404 else "text/plain; charset=utf-8")
        return Response(answer.body.encode(), answer.status, kind, tuple(headers.items()))

    return handle


def _listening(path: str, address: str) -> socket.socket:
    """A socket at `ip:port` in a namespace; every address means IPv6's as well, where the node has it."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = netns.socket_in(path, family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, int(port)))
        sock.listen(128)
    except BaseException:
        sock.close()
        raise
    return sock
