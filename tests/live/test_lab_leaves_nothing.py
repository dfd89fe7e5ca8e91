"""The host before a lab, beside it and after it, however it ends: nothing of it has changed."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from labs import ONCE, SHOP, alive, client, descendants, end_role, wait_until

from labkit import lab
from labkit.errors import SandboxError
from labkit.lab import Lab

# Settings that count, measure or draw, whoever does what on this machine.
MOVING = re.compile(
    r"fs\.(dentry|inode|file-nr|aio-nr|quota)|kernel\.(random|ns_last_pid|pty\.nr)|net\.netfilter\.nf_conntrack_count"
)
COMMANDS = {
    "links": "ip -d link",
    "addresses": "ip addr",
    "routes": "ip route show table all",
    "rules": "ip rule",
    "namespaces": "ip netns",
    "bridges": "bridge link",
}
FOLDERS = ("/run", "/run/netns", "/run/lock", "/var/tmp", "/dev/shm", "/var/run/netns")
RULES = "nft list ruleset; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null"


def host() -> dict[str, object]:
    """What a lab could leave on a host. Lifetimes of addresses and neighbours' ages are not state."""
    state: dict[str, object] = {name: _lines(command) for name, command in COMMANDS.items()}
    state["neighbours"] = sorted(line.split()[0] for line in _lines("ip neigh"))
    state["rules of netfilter"] = _lines(RULES)
    state["settings"] = [s for s in _lines("sysctl -a 2>/dev/null") if not MOVING.match(s)]
    state["mounts"] = Path("/proc/self/mountinfo").read_text()
    state["files"] = {folder: sorted(os.listdir(folder)) for folder in FOLDERS if Path(folder).is_dir()}  # noqa: PTH208
    state["name"] = os.uname().nodename
    return state


def _lines(command: str) -> list[str]:
    output = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True).stdout
    return [re.sub(r"(valid|preferred)_lft \w+", "", line) for line in output.splitlines()]


def test_the_host_is_the_same_beside_and_after_a_lab() -> None:
    before = host()
    with lab.start(name="host") as k:
        k.apply(SHOP)
        k.wait()
        assert not [e for e in k.pod("shop/client").get("http://web", n=20)["error"] if e]
        k.trace("client", "http://web", namespace="shop")
        k.node("node-1").run("sysctl -qw net.ipv4.tcp_fin_timeout=7; ip link add left type bridge", check=True)
        assert host() == before
        processes = descendants(k.facts["pid"]) | {k.facts["pid"]}
        assert len(processes) >= 6
    assert not alive(processes)
    assert host() == before


LAB = f"""
from labkit import lab
k = lab.start()
k.apply({str(SHOP)!r})
k.wait()
print(k.facts["pid"], flush=True)
k.pod("shop/client").run("sleep 60 & sleep 60")
"""


@pytest.mark.parametrize("victim", ["client", "launcher"])
def test_nothing_is_left_after_sigkill(victim: str, tmp_path: Path) -> None:
    before = host()
    with client(LAB, TMPDIR=str(tmp_path)) as notebook:
        assert notebook.stdout
        launcher = int(notebook.stdout.readline())
        processes = descendants(launcher) | {launcher}
        wait_until(lambda: len(descendants(launcher)) > 6, 5, "the command in the pod")
        os.kill(notebook.pid if victim == "client" else launcher, signal.SIGKILL)
        wait_until(lambda: not alive(processes), 1.0, "the end of the lab")
        assert host() == before
        assert list(tmp_path.iterdir()) == []
        notebook.kill()


@pytest.mark.parametrize(
    "role", ["control", "dns", *(pytest.param(role, marks=ONCE) for role in ("workload", "traffic"))]
)
def test_a_lab_that_loses_a_process_ends_and_says_so(role: str) -> None:
    before = host()
    k = lab.start(name="mortal", nodes=1)
    processes = descendants(k.facts["pid"]) | {k.facts["pid"]}
    end_role(k, role)
    wait_until(lambda: not alive(processes), 1.0, "the end of the lab")
    cause = "killed by signal 9" if role == "control" else f"the {role} process of the lab ended"
    for call in (k.pods, k.wait, lambda: k.apply(SHOP)):
        with pytest.raises(SandboxError, match=cause) as caught:
            call()
        assert "Traceback" not in str(caught.value)
    assert not k.running
    assert "(closed)" in repr(k)
    k.close()
    assert host() == before


ONE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "one"},
    "spec": {"containers": [{"name": "web", "image": "nginx"}]},
}


@ONCE
@pytest.mark.parametrize("role", ["workload", "traffic"])
def test_a_call_under_way_ends_with_the_process_that_served_it(role: str) -> None:
    k = lab.start(name="mortal", nodes=1)
    k.apply(ONE)
    k.wait()
    calls: dict[str, Callable[[Lab], object]] = {
        "workload": lambda k: k.pod("one").run("sleep 60"),
        "traffic": lambda k: k.pod("one").get("http://127.0.0.1", n=100_000),
    }
    killer = threading.Timer(0.2, end_role, (k, role))
    killer.start()
    with pytest.raises(SandboxError, match="ended"):
        calls[role](k)
    killer.join()
    k.close()
