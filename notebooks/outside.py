"""The world outside, for a lab: a name server for example.com and a web server, both on the machine `internet`.

    pay.example.com  A  203.0.113.10        every name below example.com is this machine
    GET /            the name by which the client asked, and the client's address

Started by a notebook with the text of this file; only the standard library is used.
"""

import socket
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

HERE = "203.0.113.10"
A, NXDOMAIN = 1, 3


def answer(query: bytes) -> bytes:
    """The response to one DNS query: the question again, and an A record for a name below example.com."""
    end = query.index(0, 12) + 5
    name, kind = query[12 : end - 4].lower(), struct.unpack("!H", query[end - 4 : end - 2])[0]
    known = name.endswith(b"\x07example\x03com\x00")
    found = known and kind == A
    flags = 0x8400 | (0 if known else NXDOMAIN)  # a response, and its server is the authority
    header = query[:2] + struct.pack("!HHHHH", flags, 1, found, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 30, 4) + socket.inet_aton(HERE)
    return header + query[12:end] + (record if found else b"")


def serve_names() -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((HERE, 53))
    while True:
        query, client = sock.recvfrom(512)
        sock.sendto(answer(query), client)


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = f"asked for as {self.headers['Host']} by {self.client_address[0]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


Thread(target=serve_names, daemon=True).start()
ThreadingHTTPServer((HERE, 80), Web).serve_forever()
