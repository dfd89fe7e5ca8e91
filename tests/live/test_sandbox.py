"""The sandbox itself: fenced, gone with its client whatever the signal, harmless to interrupt."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from inside import HERE, in_fresh_sandbox

from labkit.errors import SandboxError
from labkit.sandbox import syscalls
from labkit.sandbox.mounts import HOST_KNOBS
from labkit.sandbox.start import Sandbox


@pytest.mark.sandbox("namespaces")  # a kernel of its own has settings and mounts of its own: tests/live/test_uml.py
@in_fresh_sandbox
def test_host_files_are_read_only_and_cannot_be_made_writable() -> None:
    for directory in ("/", "/etc", "/usr", Path.home(), Path(__file__).parent):
        assert os.statvfs(directory).f_flag & os.ST_RDONLY, directory
        assert not os.access(directory, os.W_OK), directory
    with pytest.raises(PermissionError):
        syscalls.mount("none", "/", flags=syscalls.MS_REMOUNT | syscalls.MS_BIND)
    with pytest.raises(PermissionError):
        syscalls.make_writable("/")


@pytest.mark.sandbox("namespaces")  # a kernel of its own has settings and mounts of its own: tests/live/test_uml.py
@in_fresh_sandbox
def test_host_settings_are_locked_and_the_lab_s_own_network_is_not() -> None:
    with pytest.raises(OSError, match="Read-only"):
        Path("/proc/sys/vm/swappiness").write_text(Path("/proc/sys/vm/swappiness").read_text())
    for knob in HOST_KNOBS:
        path = Path("/proc", knob)
        assert not path.exists() or os.statvfs(path).f_flag & os.ST_RDONLY, knob
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    forward.write_text("1")
    assert forward.read_text() == "1\n"
    with pytest.raises(OSError, match=r"not permitted|Permission denied"):
        Path("/tmp/proc").mkdir()
        syscalls.mount("proc", "/tmp/proc", "proc")


@in_fresh_sandbox
def test_sees_no_process_and_no_interface_of_the_host() -> None:
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    commands = [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline")]
    assert len(commands) > 1 and not any(b"pytest" in command for command in commands)
    assert socket.gethostname() == "labkit"


@in_fresh_sandbox
def test_scratch_directories_are_empty_and_writable() -> None:
    for directory in ("/run", "/tmp", "/var/tmp"):
        (Path(directory) / "file").write_text("ok")


CLIENT = """
    import os, sys, time
    from labkit.sandbox.start import Sandbox
    sandbox = Sandbox("inside:main", os.environ["LABKIT_SANDBOX"])
    print(sandbox.process.pid, flush=True)
    sandbox.call("run", path={path!r}, name="pretend_to_work", params={{}})
"""


def pretend_to_work() -> None:
    """Children that ignore signals and sessions of their own: the hardest to end."""
    stubborn = "import signal, time, os; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)"
    workers = [subprocess.Popen([sys.executable, "-c", stubborn], start_new_session=True) for _ in range(5)]
    workers[0].wait()


pretend_to_work.__wrapped__ = pretend_to_work  # type: ignore[attr-defined]  # `inside` calls what a decorator wrapped


def descendants(pid: int) -> set[int]:
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return {int(c) for c in children} | {d for c in children for d in descendants(int(c))}


def wait_until(condition, seconds: float) -> float:  # type: ignore[no-untyped-def]
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            pytest.fail(f"not within {seconds} s")
        time.sleep(0.002)
    return time.monotonic() - began


@pytest.mark.parametrize("victim", ["client", "launcher"])
def test_sigkill_leaves_nothing_behind(victim: str) -> None:
    client = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CLIENT.format(path=__file__))],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": HERE},
    )
    assert client.stdout
    launcher = int(client.stdout.readline())
    wait_until(lambda: len(descendants(launcher)) >= 7, 30)
    everything = descendants(launcher) | {launcher}
    os.kill(client.pid if victim == "client" else launcher, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{p}/exe").exists() for p in everything), 1.0)
    client.kill()
    client.wait()
    client.stdout.close()


def test_a_crash_inside_is_reported_with_its_cause(sandbox: str) -> None:
    crashing = Sandbox("os:abort", sandbox)
    with pytest.raises(SandboxError, match=r"abort|ended"):
        crashing.call("anything")
    crashing.close()


def test_an_entry_that_fails_is_reported_with_its_traceback(sandbox: str) -> None:
    failing = Sandbox("json:loads", sandbox)
    with pytest.raises(SandboxError, match="TypeError: the JSON object must be"):
        failing.call("anything")
    failing.close()


def test_a_timeout_ends_the_waiting_and_not_the_lab(sandbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", HERE)
    patient = Sandbox("inside:main", sandbox)
    with pytest.raises(TimeoutError):
        patient.call("run", within=0.05, path=__file__, name="sleep_long", params={})
    assert patient.call("run", within=20, path=__file__, name="sleep_short", params={}) == ""
    patient.close()
    assert not patient.running


async def sleep_long() -> None:
    import asyncio

    await asyncio.sleep(600)


def sleep_short() -> None:
    pass


for function in (sleep_long, sleep_short):
    function.__wrapped__ = function  # type: ignore[attr-defined]  # see above
