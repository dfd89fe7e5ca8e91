"""A gRPC health server over HTTP/2: `python grpc_server.py PORT`. The service named "bad" is not serving."""

import socket
import sys
import threading

import h2.config
import h2.connection
import h2.events


def serve(sock: socket.socket) -> None:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    sock.sendall(connection.data_to_send())
    paths: dict[int, str] = {}
    bodies: dict[int, bytes] = {}
    while data := sock.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                paths[event.stream_id] = dict(event.headers)[":path"]
            elif isinstance(event, h2.events.DataReceived):
                bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
            elif isinstance(event, h2.events.StreamEnded):
                answer(connection, event.stream_id, paths[event.stream_id], bodies[event.stream_id][7:].decode())
        sock.sendall(connection.data_to_send())


def answer(connection: h2.connection.H2Connection, stream: int, path: str, service: str) -> None:
    head = [(":status", "200"), ("content-type", "application/grpc")]
    if path != "/grpc.health.v1.Health/Check" or service == "old":
        trailers = [("grpc-status", "12"), ("grpc-message", "unknown service")]
        connection.send_headers(stream, head + trailers, end_stream=True)
        return
    connection.send_headers(stream, head)
    connection.send_data(stream, bytes([0, 0, 0, 0, 2, 8, 2 if service == "bad" else 1]))
    code = [("grpc-status", "5"), ("grpc-message", "unknown")] if service == "none" else [("grpc-status", "0")]
    connection.send_headers(stream, code, end_stream=True)


if __name__ == "__main__":
    listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
