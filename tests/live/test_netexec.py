"""The built-in server on real sockets, in a pod's own namespace, asked from another pod."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from typing import Any

from inside import ONCE, in_sandbox
from pods import node_with_pods

from labkit.linux import execute, httpclient, netns
from labkit.net.place import Place
from labkit.workloads.images import Serve
from labkit.workloads.netexec import Netexec
from labkit.workloads.server import Server

pytestmark = ONCE


class Running:
    """Two pods, the second of which serves TCP 80 and UDP 81."""

    def __init__(self) -> None:
        _, (self.client, self.pod) = node_with_pods(2)
        self.exits: list[int] = []
        self.log = bytearray()
        serve = Serve((80,), (81,))
        self.server = Server(self.pod, serve, Netexec(self.pod, serve, self.log.extend, self._ended))

    def _ended(self, code: int) -> None:
        self.exits.append(code)
        self.server.close()

    async def get(self, target: str, method: str = "GET", body: bytes = b"", **headers: str) -> httpclient.Reply:
        payload = httpclient.encode(method, "web", target, headers, body, keep=False)
        with await httpclient.connect(self.client.netns, "10.244.1.3", 80) as sock:
            return await httpclient.exchange(httpclient.Plain(sock), payload, 1 << 20)

    async def raw(self, data: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        loop = asyncio.get_running_loop()
        answer = b""
        with await httpclient.connect(self.client.netns, "10.244.1.3", 80) as sock:
            await loop.sock_sendall(sock, data)
            while more := await loop.sock_recv(sock, 65536):
                answer += more
        return answer


async def udp(place: Place, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with netns.socket_in(place.netns, socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(("10.244.1.3", 81))
        await loop.sock_sendall(sock, data)
        async with asyncio.timeout(2):
            return await loop.sock_recv(sock, 2048)


@in_sandbox
async def test_endpoints_answer_as_agnhost_does() -> None:
    run = Running()
    assert (await run.get("/hostname")).body == b"pod-1"
    assert (await run.get("/hostName")).body == b"pod-1"
    assert (await run.get("/clientip")).body.decode().startswith("10.244.1.2:")
    assert (await run.get("/echo?msg=a%20b&code=418"))[::2] == (418, b"a b")
    assert (await run.get("/header?key=x-test", **{"X-Test": "yes"})).body == b"yes"
    assert (await run.get("/anything")).body.startswith(b"NOW: 2")
    found = await run.get("/redirect?location=/hostname&code=307")
    assert found.status == 307 and ("Location", "/hostname") in found.headers
    assert json.loads((await run.get("/shell?cmd=hostname%3Bip+-o+-4+a+show+eth0")).body)["output"].startswith(
        "pod-1\n"
    )
    assert json.loads((await run.get("/shell?cmd=exit+3")).body) == {"error": "exit status 3"}
    assert (await run.get("/hostname", method="HEAD")).body == b""
    assert b"GET /hostname\n" in run.log
    run.server.close()


@in_sandbox
async def test_udp_commands() -> None:
    run = Running()
    assert await udp(run.client, b"hostname\n") == b"pod-1"
    assert await udp(run.client, b"echo Hello There") == b"hello there"
    assert (await udp(run.client, b"clientip")).startswith(b"10.244.1.2:")
    run.server.close()


@in_sandbox
async def test_dial_asks_from_inside_the_pod() -> None:
    run = Running()
    dial = "/dial?host=10.244.1.3&request=hostname"
    assert (await run.get(f"{dial}&port=80&tries=2")).body == b'{"responses":["pod-1","pod-1"]}'
    assert (await run.get(f"{dial}&port=81&protocol=udp")).body == b'{"responses":["pod-1"]}'
    assert json.loads((await run.get("/dial?host=pod-1&port=80&request=clientip")).body)["responses"][0].startswith(
        "10.244.1.3:"
    )
    refused = json.loads((await run.get(f"{dial}&port=9")).body)
    assert refused == {
        "errors": ['Get "http://10.244.1.3:9/hostname": dial tcp 10.244.1.3:9: connect: connection refused']
    }
    assert (await run.get("/dial?host=10.244.1.3&port=80"))[::2] == (400, b"request parameter not specified. <nil>\n")
    assert (await run.get(f"{dial}&port=80&tries=x")).status == 400
    assert (await run.get(f"{dial}&port=80&protocol=icmp")).status == 400
    run.server.close()


@in_sandbox
async def test_keepalive_pipelining_and_order() -> None:
    run = Running()
    one = b"GET /echo?msg=%d HTTP/1.1\r\nHost: x\r\n\r\n"
    slow = b"GET /shell?cmd=echo+slow HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /echo?msg=end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await run.raw(one % 1 + slow + one % 3 + last)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert bodies == [b"1", b'{"output":"slow\\n"}', b"3", b"end"]
    run.server.close()


@in_sandbox
async def test_limits_and_nonsense() -> None:
    run = Running()
    assert (await run.raw(b"\x16\x03\x01 not http\r\n\r\n")).startswith(b"HTTP/1.1 400 Bad Request")
    header = b"X: " + b"a" * 70_000
    answer = await run.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ")
    head = b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n"
    assert (await run.raw(head + b"a" * 33_600_000)).startswith(b"HTTP/1.1 413 ")
    assert (await run.get("/hostname")).body == b"pod-1"
    run.server.close()


@in_sandbox
async def test_upload_and_large_answers() -> None:
    run = Running()
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=x", "Expect": "100-continue"}
    done = await run.get("/upload", "POST", form, **kind)
    assert done.status == 201
    path = json.loads(done.body)["output"]
    assert (await execute.run(run.pod, f"test -x {path} && echo ok", check=True)).stdout == "ok\n"
    assert (await run.get("/upload", "POST", b"nothing")).body == b'{"error":"Unable to upload file."}'
    big = await run.get("/shell?cmd=head+-c+900000+/dev/zero+|+tr+'\\0'+a")
    assert len(big.body) > 900_000
    run.server.close()


@in_sandbox
async def test_exit_ends_the_container_and_not_the_lab() -> None:
    run = Running()
    try:
        await run.get("/exit?code=3")
    except ConnectionError:
        pass
    else:
        raise AssertionError("the connection should close without an answer")
    assert run.exits == [3]
    try:
        await run.get("/hostname")
    except ConnectionRefusedError:
        return
    raise AssertionError("the server should be gone")


@in_sandbox
async def test_a_client_that_goes_away_leaves_nothing_behind() -> None:
    run = Running()
    loop = asyncio.get_running_loop()
    for data in (b"", b"GET /hostname HTTP/1.1\r\n", b"GET /shell?cmd=sleep+0.05 HTTP/1.1\r\nHost: x\r\n\r\n"):
        with await httpclient.connect(run.client.netns, "10.244.1.3", 80) as sock:
            await loop.sock_sendall(sock, data)
    listener: Any = run.server._listeners[0]
    end = time.monotonic() + 5
    while listener.connections and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert not listener.connections
    run.server.close()
