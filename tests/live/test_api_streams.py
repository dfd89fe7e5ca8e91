"""exec, cp and port-forward by real clients: kubectl of each generation."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kubectls
import pytest
import streamed
from labs import wait_until
from streamed import Cluster
from terminal import Terminal

IN_UML = ("1.27", "1.33")  # one of each kind of protocol
BIG = 10_000_000
SECONDS = itertools.count(5000)  # of a sleep that no other test has


@pytest.fixture(scope="module")
def cluster(sandbox: str) -> Iterator[Cluster]:
    with streamed.started() as cluster:
        yield cluster


@pytest.fixture(params=kubectls.VERSIONS)
def kubectl(request: pytest.FixtureRequest, sandbox: str) -> str:
    if sandbox == "uml" and request.param not in IN_UML:
        pytest.skip("one of each kind of protocol is enough there")
    return kubectls.need(request.param)


@pytest.fixture
def newest() -> str:
    return kubectls.need(kubectls.VERSIONS[-1])


def test_output_errors_and_exit_code(cluster: Cluster, kubectl: str) -> None:
    script = "echo $GREETING from $(hostname); pwd; echo careful >&2; exit 3"
    done = cluster.run(kubectl, "exec", "web", "--", "sh", "-c", script)
    assert done.stdout == b"hello from web\n/usr\n"
    assert done.stderr == b"careful\ncommand terminated with exit code 3\n"
    assert done.returncode == 3
    killed = cluster.run(kubectl, "exec", "web", "--", "sh", "-c", "kill -9 $$")
    assert killed.returncode == 137


def test_ten_megabytes_both_ways(cluster: Cluster, kubectl: str) -> None:
    data = os.urandom(BIG)
    done = cluster.run(kubectl, "exec", "-i", "web", "--", "cat", input=data)
    assert done.stdout == data, done.stderr
    assert done.returncode == 0


def test_a_shell_at_a_terminal(cluster: Cluster, kubectl: str) -> None:
    terminal = Terminal([kubectl, "exec", "-it", "pair", "-c", "shell", "--", "sh"], cluster.env, 90, 30)
    try:
        terminal.type("echo term=$TERM on $(tty) of $(hostname)\n")
        assert re.fullmatch(r"xterm on /dev/pts/\d+ of pair", terminal.until(r"term=(xterm on [^\r]*)\r"))
        terminal.type("stty size\n")
        assert terminal.until(r"(\d+ \d+)\r") == "30 90"
        terminal.resize(120, 40)
        terminal.type("while [ \"$(stty size)\" != '40 120' ]; do sleep 0.02; done; echo size=$(stty size)\n")
        assert terminal.until(r"size=(\d+ \d+)\r") == "40 120"
        terminal.type("sleep 4000; echo interrupted=$?\n")
        wait_until(lambda: cluster.sleeping(4000), 20, "the sleep")
        terminal.type("\x03")
        assert terminal.until(r"(\^C)") == "^C"
        terminal.type("exit 5\n")
        assert terminal.wait() == 5
    finally:
        terminal.close()


@pytest.mark.parametrize("way", ["idle", "terminal", "children", "input held back"])
def test_a_client_that_is_killed_leaves_no_process(cluster: Cluster, kubectl: str, way: str) -> None:
    seconds = next(SECONDS)
    with Path("/dev/zero").open("rb") as endless:
        if way == "terminal":
            client = Terminal([kubectl, "exec", "-it", "web", "--", "sleep", str(seconds)], cluster.env).process
        else:
            script = {"children": f"sleep {seconds} & setsid sleep {seconds} & wait"}.get(way, f"exec sleep {seconds}")
            stdin = endless.fileno() if way == "input held back" else subprocess.PIPE
            client = cluster.open(kubectl, "exec", "-i", "web", "--", "sh", "-c", script, stdin=stdin)
        wait_until(lambda: cluster.sleeping(seconds), 20, "the command")
        if way == "input held back":
            wait_until(lambda: _stuck(client.pid), 20, "input held back")
        client.kill()
        client.communicate()
        wait_until(lambda: not cluster.sleeping(seconds), 20, "the command's end")


def _stuck(pid: int) -> bool:
    """Whether a process has stopped to read."""
    text = Path(f"/proc/{pid}/io").read_text()
    before = re.search(r"rchar: (\d+)", text)
    threading.Event().wait(0.2)
    after = re.search(r"rchar: (\d+)", Path(f"/proc/{pid}/io").read_text())
    assert before and after
    return before[1] == after[1]


REFUSED = {
    "another container": (("web", "-c", "foo"), "container foo is not valid for pod web"),
    "no such pod": (("nothing",), 'pods "nothing" not found'),
    "no node": (("nowhere",), "pod nowhere does not have a host assigned"),
    "no program": (("web",), 'exec: "no-such-program": executable file not found in $PATH: unknown'),
    "ended": (("done",), "cannot exec into a container in a completed pod; current phase is Succeeded"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_in_the_real_words(cluster: Cluster, kubectl: str, case: str) -> None:
    words, told = REFUSED[case]
    if case == "ended":
        wait_until(lambda: cluster.lab.get("pod/done")["status"]["phase"] == "Succeeded", 20, "the end of the pod")
    done = cluster.run(kubectl, "exec", *words, "--", "no-such-program")
    assert done.returncode == 1
    assert told in done.stderr.decode()


def test_files_are_copied_there_and_back(cluster: Cluster, kubectl: str, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.mkdir()
    (there / "big").write_bytes(os.urandom(2_000_000))
    (there / "small").write_text("hello\n")
    folder = f"/tmp/{Path(kubectl).name}"
    done = cluster.run(kubectl, "cp", str(there), f"default/pair:{folder}", "-c", "shell")
    assert done.returncode == 0, done.stderr
    done = cluster.run(kubectl, "cp", f"default/pair:{folder}", str(back), "-c", "shell")
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_bytes() for p in back.iterdir()} == {p.name: p.read_bytes() for p in there.iterdir()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def forwarded(cluster: Cluster, kubectl: str) -> Iterator[tuple[int, int, subprocess.Popen[bytes]]]:
    """Local ports that lead to the pod's port 80, and to one where nobody listens."""
    good, bad = free_port(), free_port()
    client = cluster.open(kubectl, "port-forward", "pod/web", f"{good}:80", f"{bad}:81")
    assert client.stdout
    told = b""
    while told.count(b"Forwarding from 127.0.0.1") < 2:
        line = client.stdout.readline()
        assert line, client.stderr and client.stderr.read()
        told += line
    yield good, bad, client
    client.kill()
    client.communicate()


def test_many_connections_at_once_through_a_port_forward(
    cluster: Cluster, forwarded: tuple[int, int, subprocess.Popen[bytes]]
) -> None:
    good, _, client = forwarded

    def ask(number: int) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{good}/echo?msg={number}{'x' * 3000}", timeout=30) as answer:
            body: bytes = answer.read()
            return body

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [b"%d" % n + b"x" * 3000 for n in range(40)]
    assert client.poll() is None


def test_a_port_where_nobody_listens(cluster: Cluster, forwarded: tuple[int, int, subprocess.Popen[bytes]]) -> None:
    _, bad, client = forwarded
    with socket.create_connection(("127.0.0.1", bad), 20) as sock:
        assert sock.recv(100) == b""
    assert client.stderr
    told = b""
    while b"connection refused" not in told:
        line = client.stderr.readline()
        assert line, told
        told += line
    assert re.search(rb'failed to connect to localhost:81 inside namespace \\?"\S+", IPv4: dial tcp4', told)


def test_a_terminal_that_hangs_up_ends_what_ran_at_it(cluster: Cluster, newest: str) -> None:
    terminal = Terminal([newest, "exec", "-it", "web", "--", "sleep", "6000"], cluster.env)
    wait_until(lambda: cluster.sleeping(6000), 20, "the command")
    terminal.process.send_signal(signal.SIGHUP)
    terminal.wait()
    terminal.close()
    wait_until(lambda: not cluster.sleeping(6000), 20, "the command's end")


def test_a_pod_to_talk_to(cluster: Cluster, kubectl: str) -> None:
    """`kubectl run -i` attaches to the container's own standard input, and gives its exit code."""
    words = ("run", "talk", "-i", "--rm", "--restart=Never", "--image=busybox", "--", "sh")
    done = cluster.run(kubectl, *words, input=b"echo heard | tr a-z A-Z; exit 7\n")
    assert b"HEARD\n" in done.stdout
    assert done.returncode == 7, done.stderr


def test_a_pod_with_a_terminal(cluster: Cluster, newest: str) -> None:
    words = ("run", "screen", "-it", "--rm", "--restart=Never", "--image=busybox", "--", "sh")
    terminal = Terminal([newest, *words], cluster.env, 77, 33)
    try:
        terminal.until("try pressing enter")
        terminal.type("while [ \"$(stty size)\" != '33 77' ]; do sleep 0.02; done; echo size=$(stty size)\n")
        assert terminal.until(r"size=(\d+ \d+)\r") == "33 77"
        terminal.type("exit 3\n")
        assert terminal.wait() == 3
    finally:
        terminal.close()


def test_attaching_to_a_server_shows_its_log_from_now_on(cluster: Cluster, kubectl: str) -> None:
    cluster.lab.pod("pair").get("http://localhost:8080/before")
    client = cluster.open(kubectl, "attach", "pair", "-c", "server")
    try:
        assert client.stdout

        def heard() -> bool:
            cluster.lab.pod("pair").get("http://localhost:8080/after")
            return bool(select.select([client.stdout], [], [], 0.05)[0])

        wait_until(heard, 20, "output")
        assert client.stdout.readline().endswith(b"GET /after\n")
    finally:
        client.kill()
        client.communicate()


def test_what_coredns_writes_and_sees(cluster: Cluster, newest: str) -> None:
    """Its pods are served by a process of their own; a client sees no difference."""
    kube = ("-n", "kube-system")
    pods = cluster.run(newest, *kube, "get", "pods", "-l", "k8s-app=kube-dns", "-o", "name").stdout.decode().split()
    for pod in pods:
        written = cluster.run(newest, *kube, "logs", pod).stdout.decode()
        assert written.startswith(".:53\n[INFO] plugin/reload: Running configuration SHA512 = ")
    script = "echo $KUBERNETES_SERVICE_HOST; hostname; cat /etc/coredns/Corefile"
    seen = cluster.run(newest, *kube, "exec", pods[0], "--", "sh", "-c", script).stdout.decode()
    assert seen.startswith(f"10.96.0.1\n{pods[0].partition('/')[2]}\n.:53 {{\n")
    config = cluster.lab.get("configmap/coredns", "kube-system")
    corefile = config["data"]["Corefile"].replace("errors\n", "errors\n    log\n")
    cluster.lab.apply({**config, "data": {"Corefile": corefile}})
    server = cluster.lab.get(pods[0], "kube-system")["status"]["podIP"]
    client = cluster.open(newest, *kube, "attach", pods[0])
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            cluster.lab.pod("web").run(f"dig +short @{server} kubernetes.default.svc.cluster.local")

    with client, ThreadPoolExecutor() as pool:
        asking = pool.submit(ask)
        try:
            assert client.stdout
            line = next(line for line in client.stdout if line.startswith(b"[INFO] 10.244."))
        finally:
            stop.set()
            client.kill()
        asking.result()
    assert b' "A IN kubernetes.default.svc.cluster.local. udp ' in line and b" NOERROR qr,aa,rd " in line
