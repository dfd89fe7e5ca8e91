"""What is left of a connection whose client has gone."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref

import pytest

from labkit.apiserver.api import refusal
from labkit.apiserver.http.messages import Answer, Reply, Request, Sink, Stream, Upgrade, Upgraded
from labkit.apiserver.http.server import Server


@pytest.mark.parametrize("path", [b"answer", b"stream", b"upgrade"])
def test_of_a_connection_that_has_gone_nothing_waits_for_a_collection(path: bytes) -> None:
    """TLS has buffers of half a megabyte for each."""

    async def stream(sink: Sink) -> None:
        sink.write(b"x")
        await asyncio.Event().wait()

    async def shout(upgraded: Upgraded) -> None:
        await upgraded.reader.read()

    def handler(request: Request) -> Reply:
        if request.path == "/upgrade":
            return Upgrade("shout", shout)
        return Stream(stream) if request.path == "/stream" else Answer(b"x")

    async def work() -> None:
        server = Server(handler, refusal, None)
        listening = socket.create_server(("127.0.0.1", 0))
        server.listen(listening)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        more = b"Connection: Upgrade\r\nUpgrade: shout\r\n" if path == b"upgrade" else b""
        writer.write(b"GET /%b HTTP/1.1\r\nHost: lab\r\n%b\r\n" % (path, more))
        async with asyncio.timeout(20):
            await reader.readuntil(b"\r\n\r\n")
            [gone] = [weakref.ref(each) for each in server.connections]
            writer.close()
            while gone() is not None:
                await asyncio.sleep(0.001)
        server.close()

    gc.disable()
    try:
        asyncio.run(work())
    finally:
        gc.enable()
