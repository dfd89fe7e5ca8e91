"""exec, attach and port-forward by the official Python client, which speaks channels in WebSockets only."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import streamed
from labs import wait_until
from streamed import Cluster

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports' business
    from kubernetes import client, config
    from kubernetes.stream import portforward, stream

# The client leaves sockets of its own open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

WEB = {"name": "web", "namespace": "default"}


@pytest.fixture(scope="module")
def cluster(sandbox: str) -> Iterator[Cluster]:
    with streamed.started() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What the client leaves open is closed here, and not in the middle of another file's tests."""
    yield
    gc.collect()


@pytest.fixture
def api(cluster: Cluster) -> Iterator[Any]:
    configured = client.Configuration()
    config.load_kube_config(str(cluster.lab.kubeconfig), client_configuration=configured)
    with client.ApiClient(configured) as connection:
        yield client.CoreV1Api(connection)


def run(api: Any, *command: str, **options: Any) -> Any:
    wanted = {"stdin": False, "stdout": True, "stderr": True, "tty": False, **options}
    return stream(api.connect_get_namespaced_pod_exec, **WEB, command=list(command), **wanted)


def test_output_as_one_text(api: Any) -> None:
    assert run(api, "sh", "-c", "echo out; echo err >&2").split() == ["out", "err"]


def test_input_output_and_exit_code(api: Any) -> None:
    script = "read x; echo got $x; echo careful >&2; exit 5"
    process = run(api, "sh", "-c", script, stdin=True, _preload_content=False)
    process.write_stdin("ä line\n")  # goes as a text message
    process.run_forever(timeout=20)
    assert process.read_stdout() == "got ä line\n"
    assert process.read_stderr() == "careful\n"
    assert process.returncode == 5
    process.close()


def test_bytes_both_ways_and_the_end_of_input(api: Any) -> None:
    data = os.urandom(200_000)
    process = run(api, "cat", stdin=True, _preload_content=False, binary=True)
    process.write_stdin(data)
    received = b""
    while len(received) < len(data):
        process.update(timeout=20)
        received += process.read_stdout()
    assert received == data
    process.close_channel(0)
    process.run_forever(timeout=20)
    assert process.returncode == 0
    process.close()


def test_a_client_that_closes_leaves_no_process(cluster: Cluster, api: Any) -> None:
    process = run(api, "sleep", "7000", _preload_content=False)
    wait_until(lambda: cluster.sleeping(7000), 20, "the command")
    process.close()
    wait_until(lambda: not cluster.sleeping(7000), 20, "the command's end")


def test_what_it_is_told_where_nothing_can_be_run(api: Any) -> None:
    process = run(api, "no-such-program", _preload_content=False)
    process.run_forever(timeout=20)
    assert "executable file not found in $PATH" in process.read_channel(3)
    process.close()
    with pytest.raises(client.ApiException, match="container foo is not valid for pod web"):
        run(api, "true", container="foo")


def test_port_forward_of_two_ports(api: Any) -> None:
    forwarded = portforward(api.connect_get_namespaced_pod_portforward, **WEB, ports="80,81")
    with closing(forwarded.socket(80)) as sock:
        sock.settimeout(20)
        sock.sendall(b"GET /hostname HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert answer.endswith(b"\r\n\r\nweb")
    wait_until(lambda: forwarded.error(81), 20, "the error of the other port")
    assert "connection refused" in forwarded.error(81)
    assert forwarded.error(80) is None


def test_attach_shows_a_servers_log(cluster: Cluster, api: Any) -> None:
    attached = stream(
        api.connect_get_namespaced_pod_attach, name="pair", namespace="default", container="server", stdout=True,
        stderr=True, stdin=False, tty=False, _preload_content=False,
    )  # fmt: skip

    def heard() -> str:
        cluster.lab.pod("pair").get("http://localhost:8080/seen")
        text: str = attached.readline_stdout(timeout=0.1)
        return text

    wait_until(lambda: "GET /seen" in heard(), 20, "a line of the log")
    attached.close()
