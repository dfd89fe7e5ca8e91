"""gRPC's health service, as the built-in server offers it to clients that speak HTTP/2: it is always serving.

Any other method is answered with UNIMPLEMENTED, as a gRPC server does. Source: grpc/doc/health-checking.md.
"""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.exceptions

CHECK = "/grpc.health.v1.Health/Check"
SERVING = bytes([0, 0, 0, 0, 2, 0x08, 1])
"""A HealthCheckResponse with status 1, behind gRPC's flag and length."""


class Health:
    """One connection. `ended`: nothing sensible comes from this client any more."""

    def __init__(self) -> None:
        self.ended = False
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self._connection.initiate_connection()
        self._paths: dict[int, str] = {}

    def answer(self, data: bytes) -> bytes:
        """What is to be sent after this has come."""
        try:
            for event in self._connection.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError:
            self.ended = True
        return self._connection.data_to_send()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._paths[event.stream_id] = next((str(v) for k, v in event.headers if str(k) == ":path"), "")
        elif isinstance(event, h2.events.DataReceived):
            self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._paths.pop(event.stream_id, None)
        elif isinstance(event, h2.events.StreamEnded):
            self._answer(event.stream_id, self._paths.pop(event.stream_id, ""))
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.ended = True

    def _answer(self, stream: int, path: str) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc")]
        if path != CHECK:
            trailers = [("grpc-status", "12"), ("grpc-message", f"unknown method {path}")]
            self._connection.send_headers(stream, head + trailers, end_stream=True)
            return
        self._connection.send_headers(stream, head)
        self._connection.send_data(stream, SERVING)
        self._connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)
