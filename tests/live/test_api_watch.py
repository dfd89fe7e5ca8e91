"""Watches over real connections: many of them, one that never reads, one whose client vanishes; bad clients besides."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import yaml

from labkit import lab
from labkit.lab import Lab

MAPS = "/api/v1/namespaces/default/configmaps"


class Api:
    """Raw TLS connections to a lab's API, as its administrator."""

    def __init__(self, running: Lab) -> None:
        config = yaml.safe_load(running.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        host, port = cluster["server"].removeprefix("https://").split(":")
        self.address = host, int(port)
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]))
            file.flush()
            self.tls.load_cert_chain(file.name)

    def connect(self) -> ssl.SSLSocket:
        return self.tls.wrap_socket(socket.create_connection(self.address, timeout=20), server_hostname=self.address[0])

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        with self.connect() as sock:
            return self.send(sock, method, path, json.dumps(body).encode() if body is not None else b"")

    def send(self, sock: ssl.SSLSocket, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
        head = f"{method} {path} HTTP/1.1\r\nHost: lab\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        with sock.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            headers = dict(line.decode().lower().rstrip().split(": ", 1) for line in iter(answer.readline, b"\r\n"))
            return status, json.loads(answer.read(int(headers["content-length"])))

    def watch(self, query: str = "") -> Iterator[dict[str, Any]]:
        sock = self.connect()
        sock.sendall(f"GET {MAPS}?watch=1{query} HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
        with sock, sock.makefile("rb") as answer:
            while answer.readline() != b"\r\n":
                pass
            while size := int(answer.readline(), 16):
                yield json.loads(answer.read(size))
                answer.readline()


@pytest.fixture(scope="module")
def api(sandbox: str) -> Iterator[Api]:
    with lab.start(nodes=1, name="watch") as started:
        yield Api(started)


def test_a_hundred_watchers_hear_the_same(api: Api) -> None:
    version = api.ask("GET", MAPS)[1]["metadata"]["resourceVersion"]
    watchers = [api.watch(f"&resourceVersion={version}") for _ in range(100)]
    for number in range(3):
        assert api.ask("POST", MAPS, {"metadata": {"name": f"heard-{number}"}})[0] == 201
    for watcher in watchers:
        assert [next(watcher)["object"]["metadata"]["name"] for _ in range(3)] == ["heard-0", "heard-1", "heard-2"]
        watcher.close()


def test_a_watch_that_is_never_read_holds_up_nobody(api: Api) -> None:
    sock = api.connect()
    sock.sendall(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: lab\r\n\r\n".encode())
    path = f"{MAPS}/big"
    assert api.ask("POST", MAPS, {"metadata": {"name": "big"}, "data": {"a": "x" * 100_000}})[0] == 201
    with api.connect() as writer:
        for number in range(100):  # 10 MB of events, of which the kernel takes 4
            body = json.dumps({"data": {"a": "x" * 100_000, "n": str(number)}}).encode()
            assert api.send(writer, "PUT", path, body)[0] == 200
    sock.close()
    assert api.ask("DELETE", path)[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"GET /api/v1/pods?watch=1 HTTP/1.1\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        b"\x00" * 1000,
    ],
    ids=["nothing", "half a head", "a watch", "half a body", "noise"],
)
def test_clients_that_vanish_leave_the_server_as_it_was(api: Api, sent: bytes) -> None:
    for _ in range(20):
        sock = api.connect()
        sock.sendall(sent)
        sock.close()
    with socket.create_connection(api.address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.settimeout(20)
        with suppress(ConnectionResetError):
            assert plain.recv(100)[:4] != b"HTTP", "nothing is served without TLS"
    assert api.ask("GET", "/version")[0] == 200


def test_a_client_of_another_authority_is_not_let_in(api: Api) -> None:
    from labkit.apiserver.access.certificates import Authority

    pair = Authority().client("kubernetes-admin", ["system:masters"])
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        tls.load_cert_chain(file.name)
    answer = b""
    with suppress(OSError), tls.wrap_socket(socket.create_connection(api.address, timeout=20)) as sock:
        sock.sendall(b"GET /api/v1/pods HTTP/1.1\r\nHost: lab\r\n\r\n")
        answer = sock.recv(100)
    assert answer == b""


def test_a_large_list_comes_whole(api: Api) -> None:
    with api.connect() as writer:
        for number in range(500):
            body = json.dumps({"metadata": {"name": f"many-{number:03}"}, "data": {"a": "x" * 2000}}).encode()
            assert api.send(writer, "POST", MAPS, body)[0] == 201
    names = [item["metadata"]["name"] for item in api.ask("GET", MAPS)[1]["items"]]
    assert sum(name.startswith("many-") for name in names) == 500
    assert api.ask("DELETE", MAPS)[0] == 200
