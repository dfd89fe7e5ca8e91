"""What is asked of the lab's API, and by what right."""

from __future__ import annotations

import base64
import json
import ssl
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

import yaml

from labkit.lab.bench import manifests
from labkit.lab.bench.manifests import Raw
from labkit.lab.bench.wire import Connection, message

CORE = "/api/v1/namespaces/default"


class Kubernetes:
    """The API server that a kubeconfig leads to."""

    def __init__(self, kubeconfig: Path) -> None:
        found = yaml.safe_load(kubeconfig.read_text())
        cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
        self._port = urlsplit(cluster["server"]).port or 443
        self._tls = ssl.create_default_context(cadata=_plain(cluster["certificate-authority-data"]).decode())
        with NamedTemporaryFile() as file:  # ssl reads files only
            pair = _plain(user["client-certificate-data"]) + b"\n" + _plain(user["client-key-data"])
            Path(file.name).write_bytes(pair)
            self._tls.load_cert_chain(file.name)

    def connect(self) -> Connection:
        return Connection(self._port, self._tls)

    def ask(self, request: bytes) -> bytes:
        """The answer to one request, on a connection of its own."""
        with closing(self.connect()) as connection:
            return connection.ask(request)

    def create(self, number: int) -> bytes:
        return _post(f"{CORE}/pods", manifests.unscheduled(f"pod-{number}"))

    def read(self, number: int) -> bytes:
        return message("GET", f"{CORE}/pods/pod-{number}")

    def every(self) -> bytes:
        return message("GET", f"{CORE}/pods")

    def watch(self, connection: Connection) -> None:
        """Hear of new ConfigMaps on a connection."""
        connection.opened(message("GET", f"{CORE}/configmaps?watch=1&resourceVersion={self.version()}"))

    def happen(self, name: str) -> tuple[bytes, bytes]:
        """A request that makes a ConfigMap, and what watchers hear of it."""
        return _post(f"{CORE}/configmaps", manifests.config_map(name)), f'"name":"{name}"'.encode()

    def apply(self, deployment: Raw) -> bytes:
        return _post("/apis/apps/v1/namespaces/default/deployments", deployment)

    def version(self) -> int:
        """How many writes there have been."""
        return int(json.loads(self.ask(message("GET", f"{CORE}/configmaps")))["metadata"]["resourceVersion"])


def _post(path: str, raw: Raw) -> bytes:
    return message("POST", path, json.dumps(raw).encode())


def _plain(text: str) -> bytes:
    return base64.b64decode(text)
