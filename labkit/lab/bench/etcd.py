"""The same asked of etcd: what a real API server keeps its objects in.

By its JSON gateway over TLS, so that the client is the same; a create is the transaction of a real API server: put,
where the key is new. Its log is in the same file system as the lab's.
Source: etcd.io/docs/v3.4 (api_grpc_gateway), apiserver/pkg/storage/etcd3/store.go.
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from labkit.lab.bench import manifests
from labkit.lab.bench.wire import Connection, message

PODS, MAPS = "/registry/pods/default/", "/registry/configmaps/default/"
PATIENCE = 20.0


class Etcd:
    """An etcd of one's own on the loopback, its data in `folder`; to be closed. Raises `RuntimeError` where it does not
    come up.
    """

    def __init__(self, folder: Path) -> None:
        self._port, peer = _ports(2)
        here, there = f"https://127.0.0.1:{self._port}", f"http://127.0.0.1:{peer}"
        command = [
            "etcd", "--data-dir", str(folder / "etcd"), "--auto-tls", "--log-level", "error",
            "--listen-client-urls", here, "--advertise-client-urls", here,
            "--listen-peer-urls", there, "--initial-advertise-peer-urls", there,
            "--initial-cluster", f"default={there}",
        ]  # fmt: skip
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE  # a certificate that it has signed itself a moment ago
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._await()
        except BaseException:
            self.close()
            raise

    def connect(self) -> Connection:
        return Connection(self._port, self._tls)

    def create(self, number: int) -> bytes:
        return _put(f"{PODS}pod-{number}", manifests.unscheduled(f"pod-{number}"))

    def read(self, number: int) -> bytes:
        return _post("/v3/kv/range", {"key": _text(f"{PODS}pod-{number}")})

    def every(self) -> bytes:
        return _post("/v3/kv/range", _below(PODS))

    def watch(self, connection: Connection) -> None:
        connection.opened(_post("/v3/watch", {"create_request": _below(MAPS)}))
        connection.until(b'"created":true')

    def happen(self, name: str) -> tuple[bytes, bytes]:
        return _put(f"{MAPS}{name}", manifests.config_map(name)), f'"key":"{_text(f"{MAPS}{name}")}"'.encode()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _await(self) -> None:
        end = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < end:
            try:
                with closing(self.connect()) as connection:
                    connection.ask(_post("/v3/kv/range", {"key": _text("nothing")}))
            except (OSError, RuntimeError):
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("etcd does not answer")


def installed() -> bool:
    return shutil.which("etcd") is not None


def _put(key: str, raw: Any) -> bytes:
    name = _text(key)
    new = {"target": "MOD", "result": "EQUAL", "key": name, "mod_revision": 0}
    put = {"request_put": {"key": name, "value": _text(json.dumps(raw))}}
    return _post("/v3/kv/txn", {"compare": [new], "success": [put]})


def _below(prefix: str) -> dict[str, str]:
    """All keys with a prefix, which ends with a slash: up to the same with what comes after a slash."""
    return {"key": _text(prefix), "range_end": _text(prefix[:-1] + "0")}


def _post(path: str, value: Any) -> bytes:
    return message("POST", path, json.dumps(value).encode())


def _text(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _ports(count: int) -> list[int]:
    """Ports of the loopback that nobody has."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return found
