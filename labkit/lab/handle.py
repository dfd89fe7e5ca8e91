"""One place of the lab in a learner's hand: make requests from it, run commands in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.errors import CommandError
from labkit.lab.proxy import Proxy

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("i", "pod", "node", "zone", "status", "ms", "error", "body", "local", "server")


class Output(msgspec.Struct, frozen=True):
    """What a command gave. It shows as the text that a terminal would show; `code` is 0 when all went well."""

    command: str
    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return (self.stdout + self.stderr).rstrip("\n")

    def __repr__(self) -> str:
        return str(self) if self.code == 0 else f"{self}\n(exit code {self.code})".lstrip()


class Handle:
    """A pod, a node, the router or the client outside. `name` is "namespace/name" for a pod."""

    def __init__(self, call: Callable[..., Any], name: str) -> None:
        self._call = call
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def get(
        self,
        url: str,
        n: int = 1,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str = b"",
        timeout: float = 2.0,
        concurrency: int = 16,
        keepalive: bool = False,
        verify: bool = True,
    ) -> pd.DataFrame:
        """Make `n` real requests from here; a new connection each, unless `keepalive`.

        url: http://, https://, tcp:// or udp://. One row for each request: i, pod, node, zone (who answered), status,
        ms, error, body, local, server. What goes wrong is a row with an error.

        Who answered is what the nodes' connection tracking tells, and the proxies that pass connections on. It is empty
        where none of them knows: nobody keeps a connection that was refused or dropped, and of one that a program of
        your own passed on (`kube_proxy`, a pod) only that program knows where it went.
        """
        import pandas as pd

        rows = self._call(
            "request",
            source=self.name,
            url=url,
            n=n,
            method=method,
            headers=dict(headers or {}),
            body=body.encode() if isinstance(body, str) else body,
            timeout=timeout,
            concurrency=concurrency,
            keepalive=keepalive,
            verify=verify,
        )
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.astype({"status": "Int64"})

    def run(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 60.0,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        check: bool = False,
    ) -> Output:
        """Run a real command here: a string goes to /bin/sh, a list runs as it is.

        With `check`, a failure raises `CommandError`; without, it is in the output's `code`.
        """
        words = command if isinstance(command, str) else list(command)
        done = self._call("run", place=self.name, command=words, timeout=timeout, stdin=stdin, env=dict(env or {}))
        text = command if isinstance(command, str) else " ".join(command)
        output = Output(text, done["code"], done["stdout"], done["stderr"])
        if check and output.code:
            raise CommandError(f"{text!r} in {self.name} failed: {output!r}", code=output.code)
        return output


class Node(Handle):
    """A machine of the cluster. Its commands see its interfaces, routes and rules; `proxy` is its kube-proxy."""

    @property
    def proxy(self) -> Proxy:
        return Proxy(self._call, self.name)

    def fail(self) -> None:
        """Pull the node's cable: nothing reaches it, and it reaches nothing, until `recover`.

        The cluster finds out by itself: NotReady after some seconds, then its pods out of service, later evicted.
        """
        self._call("fail_node", name=self.name)

    def recover(self) -> None:
        """Put the cable back; the node reports at once."""
        self._call("recover_node", name=self.name)
