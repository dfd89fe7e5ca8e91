"""UDP sockets that are connected, as the kernel lists them, and ended where it can."""

import errno
import socket

import pytest
from inside import in_sandbox

from labkit.errors import MissingFeature
from labkit.linux import netns, sock_diag
from labkit.linux.rtnetlink import Links
from labkit.linux.sock_diag import Sockets

SO_COOKIE = 57
FOUR, SIX, MAPPED = ("127.0.0.1", 9), ("::1", 9), ("::ffff:127.0.0.1", 9)


@in_sandbox
def test_connected_sockets_are_found_and_end_where_the_kernel_can() -> None:
    path = netns.create("clients")
    with Links(path) as links:
        links.set_link("lo", up=True)
    clients = [netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM)]
    clients += [netns.socket_in(path, socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2)]
    unconnected = netns.socket_in(path, socket.AF_INET, socket.SOCK_DGRAM)
    unconnected.bind(("127.0.0.1", 10))
    for client, to in zip(clients, (FOUR, SIX, MAPPED), strict=True):
        client.connect(to)
    try:
        sock_diag.destroys(path)
        able = True
    except MissingFeature as error:
        able = False
        assert "CONFIG_INET_DIAG_DESTROY" in error.message
    with Sockets(path) as sockets:
        found = {one.cookie: one for one in sockets.connected()}
        cookies = [int.from_bytes(c.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), "little") for c in clients]
        assert found.keys() == set(cookies)
        four, six, mapped = (found[cookie] for cookie in cookies)
        assert [four.address, six.address, mapped.address] == [b"\x7f\0\0\1", bytes(15) + b"\1", b"\x7f\0\0\1"]
        assert {one.port for one in found.values()} == {9}
        for client, one in zip(clients, (four, six, mapped), strict=True):
            if able:
                sockets.destroy(one)
                with pytest.raises(ConnectionAbortedError):
                    client.recv(1)
                client.connect(MAPPED if client is clients[2] else SIX if client is clients[1] else FOUR)
            else:
                with pytest.raises(MissingFeature, match="cannot end sockets"):
                    sockets.destroy(one)
        clients[0].close()
        if able:
            sockets.destroy(four)  # that has gone meanwhile
    assert unconnected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    for sock in (*clients[1:], unconnected):
        sock.close()


@in_sandbox
def test_a_namespace_that_has_gone_has_no_sockets() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Sockets("/run/netns/nowhere")
    assert caught.value.errno == errno.ENOENT
