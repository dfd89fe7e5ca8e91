"""The API server of the lab: where it listens, and what it is made of.

    host's loopback ── listener (made outside) ─┐
    node-1:6443 ── the node's own namespace ────┼── TLS ── Api ── store, admission
    guest's channel ── tunnels ─────────────────┘
        └ 10.96.0.1:443 (Service default/kubernetes) leads to node-1:6443

Keys and certificates are made in a thread when somebody first connects or asks for them, or else when the lab has been
up for a moment: with what a lab is usually told right after its start, the thread would compete.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from labkit.apiserver.duties import Duties
from labkit.cluster.kept import missing
from labkit.cluster.plane import Plane
from labkit.control.store import Raw
from labkit.linux import netns
from labkit.net.place import Place

if TYPE_CHECKING:
    from labkit.cluster.serving import Serving

PORT = 6443
QUIET = 1.0  # seconds in which nobody but who asks for it is to be troubled by the making
YEAR = 365 * 24 * 3600
SERVICE_IP = "10.96.0.1"
NAME = {"namespace": "default", "name": "kubernetes"}


class ApiServer:
    """Serves a control plane on a node, and wherever else it is told to. `duties`: what nodes do.

    kept: the folder of the lab's state, empty where it is not kept. What cannot be used in there, everybody hears who
    asks for something here: `StateError`.
    """

    def __init__(self, plane: Plane, node: Place, listener: int, duties: Duties, kept: str) -> None:
        self._plane = plane
        self._kept = kept
        self._duties = duties
        self._address = node.addresses[0]
        self._sockets = [_listen(node.netns, self._address)]
        if listener >= 0:
            self._sockets.append(socket.socket(fileno=listener))
        self._wanted = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for sock in self._sockets:
            self._loop.add_reader(sock, self._want)
        self._made = self._loop.create_task(self._make())

    async def take(self, sock: socket.socket) -> None:
        """Serve a connection that reached the lab by another way."""
        (await self._serving()).take(sock)

    async def kubeconfig(self, server: str) -> str:
        """The administrator's kubeconfig for the server at this URL."""
        made = await self._serving()
        return await asyncio.to_thread(made.kubeconfig, server)

    async def certificate(self) -> str:
        """The certificate of the lab's authority, once it is made, in PEM: what a client needs to know the server."""
        return (await asyncio.shield(self._made)).authority.certificate.decode()

    async def token(self, namespace: str, account: str, audience: str, seconds: int, pod: str) -> str:
        """A token of a ServiceAccount for a pod, by name. Raises NotFound (404)."""
        made = await self._serving()
        store = self._plane.store
        owner, bound = store.get("ServiceAccount", namespace, account), store.get("Pod", namespace, pod)
        return made.tokens.issue(owner, [audience] if audience else [], seconds, bound)[0]

    async def account(self, namespace: str, name: str) -> tuple[str, str]:
        """A token of a ServiceAccount, good for a year, and the certificate of the authority. Raises NotFound (404)."""
        made = await self._serving()
        owner = self._plane.store.get("ServiceAccount", namespace, name)
        return made.tokens.issue(owner, [], YEAR)[0], made.authority.certificate.decode()

    async def _serving(self) -> Serving:
        self._want()
        return await asyncio.shield(self._made)

    def _want(self) -> None:
        if not self._wanted.is_set():
            self._wanted.set()
            for sock in self._sockets:
                self._loop.remove_reader(sock)

    async def _make(self) -> Serving:
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET):
                await self._wanted.wait()
        self._want()
        prepared = await asyncio.to_thread(_prepare, self._plane, self._address, self._kept)
        return prepared.serve(self._duties, self._sockets)


def _prepare(plane: Plane, address: str, kept: str) -> Serving:
    """What takes long, in a thread: the libraries, keys and certificates."""
    from labkit.cluster.serving import Serving

    return Serving(plane, address, PORT, [SERVICE_IP, "127.0.0.1", address], kept)


def publish(plane: Plane, node: Place) -> None:
    """Store the Service of the API server that will run on a node."""
    for raw in missing(plane.store, _service(node.addresses[0])):
        (plane.admission.create if raw["kind"] == "Service" else plane.store.create)(raw)


def _service(address: str) -> list[Raw]:
    """The Service `kubernetes` with its endpoints, which the API server itself looks after.

    Source: kubernetes/pkg/controlplane/controller/kubernetesservice, pkg/controlplane/reconcilers.
    """
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "port": PORT, "protocol": "TCP"}
    spec = {
        "type": "ClusterIP",
        "clusterIP": SERVICE_IP,
        "clusterIPs": [SERVICE_IP],
        "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": PORT}],
    }
    skipped = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    named = {"kubernetes.io/service-name": "kubernetes"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {**NAME, "labels": labels}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {**NAME, "labels": skipped},
            "subsets": [{"addresses": [{"ip": address}], "ports": [port]}],
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**NAME, "labels": named},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [port],
        },
    ]


def _listen(path: str, address: str) -> socket.socket:
    """A listening socket on a node."""
    sock = netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, PORT))
    sock.listen(512)
    return sock
