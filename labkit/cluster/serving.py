"""What the API server of a lab is made of. Importing this, and making it, takes long: both belong in a thread."""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from labkit.apiserver import subresources
from labkit.apiserver.access import escalation
from labkit.apiserver.access.access import Access
from labkit.apiserver.access.certificates import ADMIN, MASTERS, Authority, kubeconfig
from labkit.apiserver.access.rbac import Authorizer
from labkit.apiserver.access.secrets import Secrets
from labkit.apiserver.api import Api, refusal
from labkit.apiserver.call import Plane as Served
from labkit.apiserver.documents import Documents
from labkit.apiserver.duties import Duties
from labkit.apiserver.feed import Feed
from labkit.apiserver.http.server import Server
from labkit.apiserver.openapi.documents import OpenApi
from labkit.cluster import keys
from labkit.cluster.plane import Plane


class Serving:
    """The API server of a plane at an address; `names` are all the addresses that its certificate is for.

    kept: the folder that has, or gets, its keys; empty where they are not kept. Raises `StateError`.
    """

    def __init__(self, plane: Plane, address: str, port: int, names: Sequence[str], kept: str) -> None:
        self._plane = plane
        self._place = f"{address}:{port}"
        self.authority = keys.authority(kept)
        self.tokens = keys.tokens(kept, plane.store)
        self._tls = _context(self.authority, names)

    def serve(self, duties: Duties, sockets: Iterable[socket.socket]) -> Serving:
        """Listen; to be called in the loop."""
        store, admission = self._plane.store, self._plane.admission
        access = Access(Authorizer(store), self.tokens)
        served = Served(store, admission, Feed(store), partial(escalation.check, access))
        documents = Documents(store.catalogue, self._place, OpenApi(store.catalogue, admission.custom.schema))
        api = Api(served, access, documents, subresources.handlers(access, duties))
        self._server = Server(api.handle, refusal, self._tls)
        Secrets(store, self.tokens, self.authority.certificate)
        for sock in sockets:
            self._server.listen(sock)
        return self

    def take(self, sock: socket.socket) -> None:
        """Serve a connection."""
        self._server.take(sock)

    def kubeconfig(self, server: str) -> str:
        """The administrator's kubeconfig for the server at this URL."""
        user = self.authority.client(ADMIN, [MASTERS])
        return kubeconfig(server, self.authority.certificate, user)


def _context(authority: Authority, names: Sequence[str]) -> ssl.SSLContext:
    pair = authority.server(names)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.load_verify_locations(cadata=authority.certificate.decode())
    tls.set_alpn_protocols(["http/1.1"])
    with tempfile.NamedTemporaryFile() as file:  # in the sandbox's own /tmp; ssl reads files only
        Path(file.name).write_bytes(pair.certificate + pair.key)
        tls.load_cert_chain(file.name)
    return tls
