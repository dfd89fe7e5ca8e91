"""Which protocol a client gets, and with what answer."""

from __future__ import annotations

import pytest

from labkit.apiserver.streams import handshake
from labkit.apiserver.streams.handshake import TUNNEL, accept
from labkit.errors import ApiError

KEY = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13"}
WEBSOCKET = {"connection": "keep-alive, Upgrade", "upgrade": "websocket", **KEY}
SPDY = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
COMMAND = (handshake.COMMAND_CHANNELS, handshake.COMMAND_STREAMS)
FORWARD = (handshake.FORWARD_CHANNELS, handshake.FORWARD_STREAMS)


def test_a_websocket_gets_the_clients_first_choice_and_the_key_of_rfc_6455() -> None:
    found = accept(
        {**WEBSOCKET, "sec-websocket-protocol": "v9.channel.k8s.io, v4.channel.k8s.io,v5.channel.k8s.io"}, *COMMAND
    )
    assert (found.kind, found.protocol) == ("websocket", "v4.channel.k8s.io")
    assert dict(found.headers) == {
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol": "v4.channel.k8s.io",
    }


def test_a_websocket_that_names_no_protocol_gets_the_oldest() -> None:
    found = accept(WEBSOCKET, *COMMAND)
    assert found.protocol == ""
    assert [name for name, _ in found.headers] == ["Sec-WebSocket-Accept"]


def test_spdy_gets_a_stream_protocol() -> None:
    found = accept({**SPDY, "x-stream-protocol-version": "v4.channel.k8s.io,v3.channel.k8s.io"}, *COMMAND)
    assert (found.kind, found.protocol) == ("SPDY/3.1", "v4.channel.k8s.io")
    assert found.headers == (("X-Stream-Protocol-Version", "v4.channel.k8s.io"),)


def test_a_port_forward_may_be_tunnelled() -> None:
    assert accept({**WEBSOCKET, "sec-websocket-protocol": TUNNEL}, *FORWARD).protocol == TUNNEL
    assert (
        accept({**SPDY, "x-stream-protocol-version": "portforward.k8s.io"}, *FORWARD).protocol == "portforward.k8s.io"
    )


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({}, 400, "Upgrade request required"),
        ({"upgrade": "websocket"}, 400, "Upgrade request required"),
        ({"connection": "upgrade", "upgrade": "h2c"}, 400, "Upgrade request required"),
        (SPDY, 400, "unable to upgrade: X-Stream-Protocol-Version is required"),
        (
            {**SPDY, "x-stream-protocol-version": "v9"},
            403,
            "unable to upgrade: unable to negotiate protocol: client supports [v9], server accepts "
            "[v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]",
        ),
        ({**WEBSOCKET, "sec-websocket-protocol": "v9"}, 403, "unable to upgrade: unable to negotiate protocol"),
        ({**WEBSOCKET, "sec-websocket-version": "8"}, 400, "unable to upgrade: a WebSocket of version 13"),
        ({**WEBSOCKET, "sec-websocket-key": "short"}, 400, "unable to upgrade: a WebSocket of version 13"),
        ({**WEBSOCKET, "sec-websocket-key": "ä"}, 400, "unable to upgrade: a WebSocket of version 13"),
    ],
)
def test_others_are_refused(headers: dict[str, str], code: int, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        accept(headers, *COMMAND)
    assert refused.value.details["status"]["code"] == code
    assert refused.value.message.startswith(message)
