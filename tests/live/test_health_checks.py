"""What a load balancer takes for a good answer of a node."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

from inside import in_sandbox

from labkit.linux import netns
from labkit.linux.rtnetlink import Links
from labkit.services.cloud.asking import answers
from labkit.services.cloud.settings import HealthCheck

HERE = "127.0.0.1"


def serve(path: str, port: int, answer: bytes | None) -> socket.socket:
    """A server in a thread that says always the same; None: never anything."""
    listener = netns.socket_in(path, socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((HERE, port))
    listener.listen()
    silent = []

    def work() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if answer is None:
                silent.append(client)
                continue
            client.recv(4096)
            client.sendall(answer)
            client.close()

    threading.Thread(target=work, daemon=True).start()
    return listener


@in_sandbox
async def test_which_answers_are_good() -> None:
    path = netns.create("node")
    with Links(path) as links:
        links.set_link("lo", up=True)
    said = {
        1: b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2: b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        3: b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 4: b"garbage\r\n\r\n", 5: b"", 6: None,
    }  # fmt: skip
    servers = [serve(path, port, answer) for port, answer in said.items()]
    check = HealthCheck(timeout=0.2)
    http = [await answers(path, HERE, port, check) for port in (*said, 7)]
    assert http == [True, True, False, False, False, False, False]
    tcp = HealthCheck(protocol="TCP", timeout=0.2)
    assert [await answers(path, HERE, port, tcp) for port in (3, 6, 7)] == [True, True, False]
    # An asker who stands still for longer than the time-out has heard nothing yet, whatever was said.
    asyncio.get_running_loop().call_later(0, time.sleep, check.timeout + 0.5)
    assert await answers(path, HERE, 1, check)
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
