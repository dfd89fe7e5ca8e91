"""The command line as a process: what it prints, how it ends, what it leaves."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from labs import ONCE, ROOT, SHOP, alive, descendants

import labkit

LABKIT = [sys.executable, "-W", "error", "-m", "labkit.cli"]
READY = "The lab runs. Ctrl-C ends it.\n"


def labkit_(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LABKIT, *words], capture_output=True, text=True, cwd=ROOT, timeout=60)


def up(*words: str, command: Sequence[str] = (*LABKIT, "up")) -> subprocess.Popen[str]:
    return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def until_ready(process: subprocess.Popen[str]) -> tuple[str, set[int]]:
    """What it printed up to its ready line, and the processes of its lab."""
    assert process.stdout
    printed = ""
    for line in process.stdout:
        printed += line
        if line == READY:
            break
    else:
        pytest.fail(f"it ended before it was ready: {printed}")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (launcher,) = (int(c) for c in children)
    return printed, descendants(launcher) | {launcher}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_runs_until_a_signal_and_ends_cleanly(number: int) -> None:
    with up("--manifest", str(SHOP)) as process:
        printed, processes = until_ready(process)
        for line in ("deployment/web", "node-3", r"shop\s+web\s+ClusterIP", "Running"):
            assert re.search(line, printed), printed
        assert len(processes) >= 6
        os.kill(process.pid, number)
        rest, _ = process.communicate(timeout=10)
        assert rest == "The lab has ended; nothing is left of it.\n"
        assert process.returncode == 0
    assert not alive(processes)


@ONCE
def test_up_puts_the_kubeconfig_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "my config"
    path.symlink_to(tmp_path / "labkit-of-one-that-was-killed" / "kubeconfig")
    with up("--nodes", "1", "--kubeconfig", str(path)) as process:
        printed, _ = until_ready(process)
        assert f"export KUBECONFIG='{path}'\n" in printed
        assert "client-certificate-data" in path.read_text() and path.stat().st_mode & 0o777 == 0o600
        again = labkit_("up", "--nodes", "1", "--kubeconfig", str(path))
        assert (again.returncode, "File exists" in again.stderr) == (1, True)
        process.terminate()
        process.communicate(timeout=10)
    assert not path.is_symlink()


@ONCE
def test_up_that_is_kept_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for words in (("--manifest", str(SHOP)), ()):
        with up("--nodes", "1", "--keep", "my-lab", *words) as process:
            printed, _ = until_ready(process)
            assert re.search(r"shop\s+web\s+ClusterIP", printed)
            process.terminate()
            assert process.communicate(timeout=10)[0] == "The lab has ended; --keep my-lab brings it back.\n"
    for name in ("", "../other"):
        refused = labkit_("up", "--keep", name)
        assert refused.returncode == 1
        assert "a lab that is kept is named by letters" in refused.stderr


@ONCE
def test_up_replaces_no_file_and_no_link_of_somebody_else(tmp_path: Path) -> None:
    mine, link = tmp_path / "config", tmp_path / "link"
    mine.write_text("mine")
    link.symlink_to(tmp_path / "a disk that is not there")
    for path in (mine, link, tmp_path / "no folder" / "config"):
        done = labkit_("up", "--nodes", "1", "--kubeconfig", str(path))
        assert done.returncode == 1 and f"cannot make {path}" in done.stderr
    assert mine.read_text() == "mine" and link.is_symlink()


@ONCE
def test_up_that_loses_its_terminal_leaves_nothing_and_what_has_taken_the_path_stays(tmp_path: Path) -> None:
    path, taken = tmp_path / "config", tmp_path / "taken"
    with up("--nodes", "1", "--kubeconfig", str(path)) as process:
        _, processes = until_ready(process)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=10)
    assert not path.is_symlink() and not alive(processes)
    with up("--nodes", "1", "--kubeconfig", str(taken)) as process:
        until_ready(process)
        taken.unlink()
        taken.write_text("by somebody else")
        process.terminate()
        process.communicate(timeout=10)
    assert taken.read_text() == "by somebody else"


def test_up_that_is_interrupted_while_it_starts_ends_cleanly() -> None:
    with up("--nodes", "60") as process:
        assert process.stdout
        assert process.stdout.readline().startswith("…")
        os.kill(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=10)
        assert "Traceback" not in rest
        assert process.returncode == 0


@pytest.mark.sandbox("namespaces")  # in a kernel of their own its processes cannot be found from outside
def test_up_says_when_its_lab_has_gone() -> None:
    with up("--nodes", "1") as process:
        _, processes = until_ready(process)
        (dns,) = (p for p in processes if Path(f"/proc/{p}/comm").read_text() == "labkit-dns\n")
        os.kill(dns, signal.SIGKILL)
        rest, _ = process.communicate(timeout=10)
        assert rest == "labkit: the lab ended by an error inside:\nthe dns process of the lab ended\n"
        assert process.returncode == 1


@ONCE
def test_up_shows_a_lab_whose_pods_are_not_ready(tmp_path: Path) -> None:
    """It is started to be looked at: what is not ready is said, and does not end it."""
    manifest = tmp_path / "hopeless.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: hopeless}\n"
        "spec: {containers: [{name: c, image: own, command: [no-such-program]}]}\n"
    )
    code = f"from labkit.lab import up; up.PATIENCE = 0.5; up.up(1, ['a'], 'ptp', [{str(manifest)!r}])"
    with up(command=[sys.executable, "-W", "error", "-c", code]) as process:
        printed, _ = until_ready(process)
        assert "the cluster is not ready after 0.5 s: pod hopeless: Error: no-such-program" in printed
        process.terminate()
        process.communicate(timeout=10)


@ONCE
def test_up_refuses_what_makes_no_sense() -> None:
    for words, told in (
        (("--nodes", "0"), "labkit: nodes is 0: choose from 1 to 200\n"),
        (("--cni", "calico"), "labkit: cni is 'calico': choose one of ptp, bridge\n"),
        (("--manifest", "nothing.yaml"), "labkit: there is no file 'nothing.yaml'"),
    ):
        done = labkit_("up", *words)
        assert done.returncode == 1
        assert done.stderr.startswith(told), done.stderr
        assert "Traceback" not in done.stderr


WRONG = [
    (),
    ("down",),
    ("up", "--nodes", "three"),
    ("up", "--node-count=3"),
    ("doctor", "me"),
    ("bench", "start", "connect"),
    ("bench", "proxy", "everything"),
]


@ONCE
@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_call_ends_with_2_and_the_usage(words: tuple[str, ...]) -> None:
    done = labkit_(*words)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: labkit")
    assert done.stdout == ""


@ONCE
def test_version_and_help() -> None:
    assert labkit_("--version").stdout == f"labkit {labkit.__version__}\n"
    text = labkit_("--help")
    assert text.returncode == 0
    for command in ("up", "doctor", "bench", "check", "coverage"):
        assert re.search(rf"^\s+{command}\s", text.stdout, re.MULTILINE)
