"""A client of gRPC's health service: one call, over HTTP/2 without TLS.

    SETTINGS, HEADERS :path /grpc.health.v1.Health/Check, DATA HealthCheckRequest ──> HEADERS, DATA, HEADERS grpc-status

Source: pkg/probe/grpc/grpc.go, whose words the results are; grpc/doc/PROTOCOL-HTTP2.md, health-checking.md.
"""

from __future__ import annotations

import asyncio
import socket

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from labkit.linux import httpclient
from labkit.net.packet import endpoint
from labkit.net.place import Place

STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
UNIMPLEMENTED, SERVING = 12, 1
_CODES = (
    "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied",
    "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable",
    "DataLoss", "Unauthenticated",
)  # fmt: skip


async def check(place: Place, port: int, service: str, timeout: float) -> str | None:
    """Ask a pod for the health of a service. Returns None for SERVING, else why not."""
    server = endpoint(place.addresses[0], port)
    call = _Call(server, service)
    connected = False
    try:
        async with asyncio.timeout(timeout):
            with await httpclient.connect(place.netns, place.addresses[0], port) as sock:
                connected = True
                await call.make(sock)
    except TimeoutError:
        if connected:
            return f"timeout: health rpc did not complete within {timeout}s"
        return f'timeout: failed to connect service "{server}" within {timeout}s: context deadline exceeded'
    except (OSError, h2.exceptions.H2Error) as error:
        why = httpclient.reason(error) if isinstance(error, OSError) else str(error)
        refused = f'connection error: desc = "transport: Error while dialing: dial tcp {server}: connect: {why}"'
        return f'error: failed to connect service at "{server}": {refused}'
    return call.result()


class _Call:
    def __init__(self, server: str, service: str) -> None:
        self._connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._server = server
        self._request = _request(service)
        self._headers: dict[str, str] = {}
        self._data = b""
        self._ended = False

    async def make(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection = self._connection
        connection.initiate_connection()
        headers = [
            (":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check"),
            (":authority", self._server), ("content-type", "application/grpc"), ("te", "trailers"),
            ("user-agent", "kube-probe/1.34"),
        ]  # fmt: skip
        connection.send_headers(1, headers)
        connection.send_data(1, self._request, end_stream=True)
        while not self._ended:
            await loop.sock_sendall(sock, connection.data_to_send())
            received = await loop.sock_recv(sock, 65536)
            if not received:
                raise ConnectionError("EOF")
            for event in connection.receive_data(received):
                self._take(event)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self._headers |= {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, h2.events.DataReceived):
            self._data += event.data
            self._connection.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
            raise ConnectionError("connection error: stream was reset")
        self._ended = self._ended or isinstance(event, h2.events.StreamEnded)

    def result(self) -> str | None:
        code = int(self._headers.get("grpc-status") or 2)
        message = self._headers.get("grpc-message", "")
        if code == UNIMPLEMENTED:
            return "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): " + message
        if code:
            name = _CODES[code] if code < len(_CODES) else f"Code({code})"
            return f"error: health rpc probe failed: rpc error: code = {name} desc = {message}"
        status = _status(self._data)
        return None if status == SERVING else f'service unhealthy (responded with "{STATUSES.get(status, status)}")'


def _request(service: str) -> bytes:
    """A HealthCheckRequest (field 1: the service) as gRPC frames it: not compressed, length, message."""
    name = service.encode()
    message = (b"\x0a" + _varint(len(name)) + name) if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _status(data: bytes) -> int:
    """Field 1 of a HealthCheckResponse; 0 where it is not there."""
    message = data[5:]
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
