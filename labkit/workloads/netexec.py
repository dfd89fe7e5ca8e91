"""The built-in server: what Kubernetes' test image agnhost answers when it runs `netexec`.

    GET /hostname       the pod's host name             GET /dial?host=&port=&request=&protocol=&tries=
    GET /clientip       "address:port" of the client    GET /shell?cmd=
    GET /echo?msg=&code=  /header?key=  /redirect?location=&code=  /healthz  /readyz  /exit?code=  /shutdown  /upload  /
    UDP                 "hostname", "clientip", "echo TEXT"

Source: test/images/agnhost/netexec/netexec.go and agnhost's README; status codes and bodies are its own. It differs
where one process serves every pod: `/exit` and `/shutdown` end that container's server, `/upload` writes below /tmp.
"""

from __future__ import annotations

import asyncio
import functools
import json
import posixpath
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from labkit.linux import execute
from labkit.net.place import Place
from labkit.workloads import dial
from labkit.workloads.httpmessages import HTML, Request, Response
from labkit.workloads.images import Serve

_DURATION = re.compile(r"[-+]?(?:0|(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_STORE = "set -e; mkdir -p /tmp/uploads; f=$(mktemp /tmp/uploads/uploadXXXXXX); cat > $f; chmod 700 $f; echo $f"

Values = dict[str, str]
Run = Callable[..., Awaitable[execute.Completed]]


class Netexec:
    """Answers for one container. `log` gets its lines, `ended` the exit code when a client tells it to exit.

    run  runs a command where the container is (`execute.run` without its place); by default in the place itself
    """

    def __init__(
        self,
        place: Place,
        serve: Serve,
        log: Callable[[bytes], None],
        ended: Callable[[int], None],
        run: Run | None = None,
    ) -> None:
        self._place = place
        self._serve = serve
        self._log = log
        self._ended = ended
        self._run: Run = run or functools.partial(execute.run, place)
        self._hostname = place.hostname or place.name
        self._routes: dict[str, Callable[[Request, Values], Response | Awaitable[Response]]] = {
            "/clientip": self._client_ip,
            "/dial": self._dial,
            "/echo": self._echo,
            "/exit": self._exit,
            "/header": self._header,
            "/healthz": self._healthz,
            "/hostName": self._host_name,
            "/hostname": self._host_name,
            "/readyz": self._readyz,
            "/redirect": self._redirect,
            "/shell": self._shell,
            "/shutdown": self._shutdown,
            "/upload": self._upload,
        }

    def request(self, request: Request) -> Response | Awaitable[Response]:
        """Answer an HTTP request."""
        target = request.target
        if not target.startswith("/"):  # absolute form, as to a proxy
            target = "/" + target.partition("://")[2].partition("/")[2]
        self._say(f"{request.method} {target}")
        if self._serve.text is not None:
            return Response(self._serve.text.encode())
        target = self._serve.override or target
        path, _, query = target.partition("?")
        return self._routes.get(path, self._root)(request, _values(request, query))

    def datagram(self, data: bytes, client: str) -> bytes | None:
        """Answer a datagram; None: no answer."""
        text = data.decode(errors="replace").strip().lower()
        self._say(f"UDP {text!r} from {client}")
        if text == "hostname":
            return self._hostname.encode()
        if text == "clientip":
            return client.encode()
        return text[5:].encode() if text.startswith("echo ") else None

    def _say(self, line: str) -> None:
        self._log(f"{_stamp(int(time.time()))} {line}\n".encode())

    def _root(self, _: Request, __: Values) -> Response:
        now = time.time_ns()
        date = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now // 10**9))
        return Response(f"NOW: {date}.{now % 10**9:09} +0000 UTC".encode())

    def _client_ip(self, request: Request, _: Values) -> Response:
        return Response(request.client.encode())

    def _host_name(self, _: Request, __: Values) -> Response:
        return Response(self._hostname.encode())

    def _header(self, request: Request, values: Values) -> Response:
        if key := values.get("key"):
            return Response(request.header(key).encode())
        found: dict[str, list[str]] = {}
        for name, value in request.headers:
            if name.lower() != "host":  # Go keeps it apart
                found.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
        return Response(_json(found))

    def _echo(self, _: Request, values: Values) -> Response:
        message, code = values.get("msg", ""), values.get("code", "")
        if code and not re.fullmatch(r"[-+]?\d+", code):
            return _wrong("code", "an integer", code)
        return Response(message.encode(), int(code or 200))

    def _healthz(self, _: Request, __: Values) -> Response:
        return Response()

    def _readyz(self, _: Request, __: Values) -> Response:
        return Response(b"ok")

    def _redirect(self, request: Request, values: Values) -> Response:
        location, code = values.get("location", ""), values.get("code", "")
        if code and not re.fullmatch(r"[-+]?\d+", code):
            return _wrong("code", "an integer", code)
        if "://" not in location and not location.startswith("/"):
            location = posixpath.join(posixpath.dirname(request.target.partition("?")[0]), location)
        status = int(code or 302)
        phrase = {301: "Moved Permanently", 302: "Found", 303: "See Other", 307: "Temporary Redirect"}.get(status, "")
        phrase = phrase or ("Permanent Redirect" if status == 308 else "")
        body = f'<a href="{_escape(location)}">{phrase}</a>.\n\n' if request.method == "GET" else ""
        return Response(body.encode(), status, HTML, (("Location", location),))

    def _dial(self, _: Request, values: Values) -> Awaitable[Response]:
        return self._dialled(values)

    async def _dialled(self, values: Values) -> Response:
        try:
            return Response(_json(await dial.dial(self._place, values)))
        except ValueError as error:
            return Response(f"{error}\n".encode(), 400)

    def _shell(self, _: Request, values: Values) -> Awaitable[Response]:
        return self._shelled(values.get("shellCommand") or values.get("cmd", ""))

    async def _shelled(self, command: str) -> Response:
        done = await self._run(f"exec 2>&1\n{command}")
        output = {"output": done.stdout} if done.stdout else {}
        if done.code:
            output["error"] = f"exit status {done.code}"
        return Response(_json(output))

    def _exit(self, _: Request, values: Values) -> Response | Awaitable[Response]:
        seconds = {}
        for name in ("timeout", "wait"):
            text = values.get(name, "")
            if text and not _DURATION.fullmatch(text):
                return _wrong(name, "a valid golang duration", text)
            seconds[name] = sum(float(n) * _UNITS[u] for n, u in re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", text))
        code = values.get("code", "")
        if code and not re.fullmatch(r"[-+]?\d+", code):
            return _wrong("code", "an integer [0-127]", code)
        return self._exited(int(code or 0) & 0xFF, seconds["wait"], graceful=seconds["timeout"] > 0)

    async def _exited(self, code: int, wait: float, graceful: bool) -> Response:
        await asyncio.sleep(wait)
        if graceful:
            asyncio.get_running_loop().call_soon(self._ended, code)
        else:
            self._ended(code)  # at once: the client sees its connection close without an answer
        return Response()

    def _shutdown(self, _: Request, __: Values) -> Awaitable[Response]:
        return self._exited(0, 0.0, graceful=False)

    def _upload(self, request: Request, _: Values) -> Awaitable[Response]:
        return self._uploaded(_file(request))

    async def _uploaded(self, data: bytes | None) -> Response:
        if data is None:
            return Response(_json({"error": "Unable to upload file."}))
        done = await self._run(_STORE, stdin=data)
        if done.code:
            return Response(_json({"error": "Unable to open file for write"}))
        return Response(_json({"output": done.stdout.strip()}), 201)


def _values(request: Request, query: str) -> Values:
    """Go's `FormValue`: the first value of each name, a form's before the query's."""
    if not query and not request.body:
        return {}
    pairs = parse_qsl(query, keep_blank_values=True)
    if request.header("content-type").startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True) + pairs
    return dict(reversed(pairs))


def _file(request: Request) -> bytes | None:
    """The field "file" of a multipart form."""
    from email.parser import BytesParser  # here: it is slow to import and seldom needed

    kind = request.header("content-type")
    message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    for part in message.get_payload() if message.is_multipart() else ():
        if not isinstance(part, str) and part.get_param("name", header="content-disposition") == "file":
            data = part.get_payload(decode=True)
            return data if isinstance(data, bytes) else None
    return None


def _wrong(name: str, wanted: str, got: str) -> Response:
    return Response(f"argument '{name}' must be {wanted} or empty, got {json.dumps(got)}\n".encode())


def _json(value: Any) -> bytes:
    """As Go's encoding/json writes it: names sorted, no blanks, `<`, `>` and `&` escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e").encode()


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")


@functools.lru_cache(maxsize=1)
def _stamp(second: int) -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(second))
