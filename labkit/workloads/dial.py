"""netexec's `/dial`: requests from inside the pod, as agnhost makes them (netexec.go, dialHandler).

An error's text is what Go's net package says in the same case.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping

from labkit.linux import execute, httpclient, netns
from labkit.net.packet import endpoint
from labkit.net.place import Place
from labkit.workloads.httpserver import BODY_LIMIT

TIMEOUT = 5.0
_DATAGRAM = 2048
_TIMED_OUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


async def dial(place: Place, values: Mapping[str, str]) -> dict[str, list[str]]:
    """Do what the query asks for: `host`, `port`, `request`, `protocol` (http, udp), `tries`, one after the other.

    Returns "responses" (left out where the last try failed, as agnhost does) and "errors" (left out where there are
    none). Raises `ValueError` for parameters that make no sense.
    """
    protocol = values.get("protocol", "").lower() or "http"
    request = values.get("request", "")
    tries = values.get("tries") or "1"
    if not re.fullmatch(r"[-+]?\d+", tries):
        raise ValueError(f'tries parameter is invalid. strconv.Atoi: parsing "{tries}": invalid syntax')
    if not request:
        raise ValueError("request parameter not specified. <nil>")
    if protocol not in _DIALERS:
        raise ValueError(f"unsupported protocol. {values['protocol']}")
    address, port = await _resolve(place, values.get("host", ""), values.get("port", ""))
    responses: list[str] = []
    errors: list[str] = []
    last = ""
    for _ in range(int(tries)):
        last = ""
        try:
            last = await _DIALERS[protocol](place, address, port, request)
            responses.append(last)
        except OSError as error:
            errors.append(str(error))
    return {**({"errors": errors} if errors else {}), **({"responses": responses} if last else {})}


async def _http(place: Place, address: str, port: int, request: str) -> str:
    server = endpoint(address, port)
    try:
        body = await get(place, address, port, f"/{request}", {}, TIMEOUT)
    except OSError as error:
        raise ConnectionError(f'Get "http://{server}/{request}": {error}') from error
    return body.body.decode(errors="replace")


async def _udp(place: Place, address: str, port: int, request: str) -> str:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with netns.socket_in(place.netns, family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        try:
            sock.connect((address, port))
            way = f"read udp {endpoint(*sock.getsockname()[:2])}->{endpoint(address, port)}"
            await loop.sock_sendall(sock, request.encode())
        except OSError as error:
            raise ConnectionError(f"udp dial failed. err:{_words(error)}") from error
        try:
            async with asyncio.timeout(TIMEOUT):
                data = await loop.sock_recv(sock, _DATAGRAM)
        except TimeoutError as error:
            raise ConnectionError(f"reading from udp connection failed. err:'{way}: i/o timeout'") from error
        except OSError as error:
            raise ConnectionError(f"reading from udp connection failed. err:'{way}: {_words(error)}'") from error
    if not data:
        raise ConnectionError("reading from udp connection failed. err:'<nil>'")
    return data.decode(errors="replace")


_DIALERS: dict[str, Callable[[Place, str, int, str], Awaitable[str]]] = {"http": _http, "udp": _udp}


async def get(
    place: Place,
    address: str,
    port: int,
    target: str,
    headers: Mapping[str, str],
    timeout: float,
    tls: ssl.SSLContext | None = None,
) -> httpclient.Reply:
    """GET from inside a place. Raises `ConnectionError` with Go's words for what went wrong."""
    server = endpoint(address, port)
    payload = httpclient.encode("GET", server, target, headers, b"", keep=False)
    try:
        async with asyncio.timeout(timeout):
            try:
                sock = await httpclient.connect(place.netns, address, port)
            except TimeoutError:
                raise
            except OSError as error:
                raise ConnectionError(f"dial tcp {server}: connect: {_words(error)}") from error
            with sock:
                stream: httpclient.Stream = httpclient.Plain(sock)
                if tls:
                    stream = httpclient.Tls(stream, tls, address)
                    await stream.handshake()
                return await httpclient.exchange(stream, payload, BODY_LIMIT)
    except TimeoutError as error:
        raise ConnectionError(_TIMED_OUT) from error
    except ValueError as error:
        raise ConnectionError(f"net/http: HTTP/1.x transport connection broken: {error}") from error


async def _resolve(place: Place, host: str, port: str) -> tuple[str, int]:
    """Address and port. A name is looked up by the system's own resolver, inside the pod."""
    wrong = "host and/or port param are invalid."
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{wrong} lookup tcp/{port}: unknown port")
    if re.fullmatch(r"[\d.]+|[0-9a-fA-F:]+", host):
        return host, int(port)
    found = await execute.run(place, ["getent", "ahosts", host], timeout=TIMEOUT)
    if not found.stdout:
        raise ValueError(f"{wrong} lookup {host}: no such host")
    return found.stdout.split()[0], int(port)


def _words(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
