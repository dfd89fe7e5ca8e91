"""A kernel of the lab's own: fenced, gone with whoever holds it, and clear about what keeps it from starting."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from inside import in_sandbox
from labs import SHOP, alive, client, descendants, wait_until

from labkit import lab
from labkit.errors import MissingFeature, NoSandbox, SandboxError
from labkit.linux import probes
from labkit.sandbox import client as channel_client
from labkit.sandbox import mounts, syscalls

pytestmark = pytest.mark.sandbox("uml")

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: NAME}}
spec:
  nodeName: node-1
  containers:
  - {name: c, image: agnhost, ports: [{containerPort: 8080}]}
"""


@in_sandbox
def test_not_even_root_in_there_changes_a_file_of_the_host_s() -> None:
    own = Path(__file__)
    before = own.read_bytes()
    syscalls.mount("none", "/", flags=syscalls.MS_REMOUNT)  # the guest's own flag, which does not bind the host
    Path("/mnt/again").parent.mkdir(exist_ok=True)
    syscalls.mount("none", "/run", "hostfs", 0, "/")
    for root in ("/", "/run/"):
        same = Path(f"{root}{str(own)[1:]}")
        for change in (
            lambda file: file.write_bytes(b"gone"),
            lambda file: file.unlink(),
            lambda file: file.rename(f"{file}.old"),
            lambda file: file.chmod(0o600),
            lambda file: os.chown(file, 1, 1),
            lambda file: os.utime(file, (1, 1)),
            lambda file: os.truncate(file, 0),
            lambda file: (file.parent / "new").touch(),
            lambda file: (file.parent / "new").mkdir(),
            lambda file: (file.parent / "new").symlink_to("/"),
            lambda file: os.link(file, f"{file}.link"),
        ):
            with pytest.raises(PermissionError):
                change(same)
        assert same.read_bytes() == before


@in_sandbox
def test_what_it_has_and_what_it_lacks() -> None:
    assert set(probes.missing(probes.PROBES)) == {"iptables-nft", "nftables", "sock-destroy", "wireguard"}


@in_sandbox
def test_scratch_directories_are_its_own_memory() -> None:
    for directory in mounts.SCRATCH:
        (Path(directory) / "file").write_text("ok")
        assert os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize < 1 << 30, "no larger than the guest"


def test_ipvs_deals_in_turn() -> None:
    """Round robin, which no rule of iptables can do: a request each, in a fixed order."""
    with lab.start(name="ipvs", nodes=1, zones=["a"], sandbox="auto", needs=["ipvs"]) as k:
        assert k.sandbox.startswith("User-Mode Linux")
        for name in ("client", "one", "two", "three"):
            k.apply(POD.replace("NAME", name))
        k.wait()
        address = dict(zip(k.pods()["NAME"], k.pods()["IP"], strict=True))
        node = k.node("node-1")
        node.run("sysctl -w net.ipv4.vs.conntrack=1", check=True)  # as kube-proxy: its filter rules drop the untracked
        node.run("ip address add 10.96.7.7/32 dev lo; ipvsadm -A -t 10.96.7.7:80 -s rr", check=True)
        for name in ("one", "two", "three"):
            node.run(f"ipvsadm -a -t 10.96.7.7:80 -r {address[name]}:8080 -m", check=True)
        rows = k.pod("client").get("http://10.96.7.7/hostname", n=9, concurrency=1)
        assert set(rows["error"]) == {""}
        answered = list(rows["body"])
        assert sorted(answered[:3]) == ["one", "three", "two"]
        assert answered == answered[:3] * 3
        assert "rr" in node.run("ipvsadm -Ln").stdout


def test_a_link_has_the_delay_that_was_asked_for() -> None:
    with lab.start(name="far", nodes=2, link={"delay": "20ms"}, sandbox="auto") as k:
        assert k.sandbox.startswith("User-Mode Linux")
        ping = k.node("node-1").run(
            ["ping", "-c", "3", "-q", k.get("node/node-2")["status"]["addresses"][0]["address"]]
        )
        least = float(ping.stdout.rpartition("= ")[2].split("/")[0])
        assert 80 <= least < 200, ping.stdout  # four ends of links, there and back


def test_a_lab_that_asks_for_too_much_of_a_kind_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingFeature, match=r"lacks what the lab asks for: wireguard \(encryption between nodes\)"):
        lab.start(name="much", nodes=1, sandbox="uml", needs=["wireguard"])


# What keeps it from starting


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Memory lies in a directory of the test's own, and nothing is left in there."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield
    assert list(tmp_path.iterdir()) == []


def start_in(code: str, **env: str) -> str:
    """The error that a client gets who runs `code` and then starts a lab."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nfrom labkit import lab\nlab.start(nodes=1, sandbox='uml')"],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    (error,) = (line for line in done.stderr.splitlines() if line.startswith("labkit.errors."))
    return error


def test_without_the_program() -> None:
    said = start_in("from labkit.sandbox import start", PATH="/nonexistent")
    assert said.startswith("labkit.errors.NoSandbox: User-Mode Linux is not installed")
    assert "sudo apt-get install user-mode-linux" in said


def test_without_ptrace() -> None:
    code = "from labkit.sandbox import seccomp; seccomp.REFUSED = {'ptrace': 101}; seccomp.keep_metadata()"
    said = start_in(code)
    assert said.startswith("labkit.errors.NoSandbox: User-Mode Linux needs ptrace, and this machine forbids it")


def test_without_a_fence() -> None:
    code = "from labkit.sandbox import seccomp; seccomp.REFUSED = {'landlock': 444}; seccomp.keep_metadata()"
    said = start_in(code)
    assert said.startswith("labkit.errors.NoSandbox: nothing on this machine would keep a lab in User-Mode Linux from")


def test_without_memory() -> None:
    said = start_in("import resource; resource.setrlimit(resource.RLIMIT_AS, (500 << 20,) * 2)")
    assert said.startswith("labkit.errors.NoSandbox: the lab's kernel got no memory: end other labs")


def tmpfs_at(path: str, options: str) -> str:
    """Code that gives the client a tmpfs of its own there."""
    return (
        "from labkit.sandbox import syscalls; syscalls.unshare(syscalls.CLONE_NEWNS); "
        "syscalls.mount('none', '/', flags=syscalls.MS_REC | syscalls.MS_PRIVATE); "
        f"[syscalls.mount('tmpfs', p, 'tmpfs', 0, {options!r}) for p in {path!r}.split()]; "
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_without_room_for_its_memory() -> None:
    said = start_in(tmpfs_at("/dev/shm /tmp /var/tmp", "size=40m"), TMPDIR="/tmp")
    assert "512 MB, has no place: /tmp has 40 MB left; /dev/shm has 40 MB left; /var/tmp has 40 MB left" in said
    assert "TMPDIR" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_directory_that_forbids_programs_is_passed_over() -> None:
    code = "syscalls.mount('none', '/tmp', flags=syscalls.MS_REMOUNT | syscalls.MS_NOEXEC)"
    said = start_in(f"{tmpfs_at('/tmp /dev/shm /var/tmp', 'size=40m')}{code}", TMPDIR="/tmp")
    assert "/tmp is mounted noexec" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_disk_that_fills_up_later() -> None:
    """There is room for its memory when it starts, and none when it wants to use it."""
    code = "from labkit.sandbox import uml; open('/tmp/full', 'wb').write(bytes(60 << 20)); "
    roomy = "import os\nreal = os.statvfs\n"
    roomy += "os.statvfs = lambda p: os.statvfs_result((*real(p)[:4], 1 << 20, *real(p)[5:10]))"
    patch = f"import os; os.environ['PYTHONPATH'] = '/tmp'; open('/tmp/sitecustomize.py', 'w').write({roomy!r})"
    said = start_in(f"{tmpfs_at('/tmp', 'size=80m')}{code}{patch}", TMPDIR="/tmp")
    assert "the disk that holds the memory of the lab's kernel is full" in said


# How it ends


LAB = f"""
from labkit import lab
k = lab.start(sandbox="uml")
k.apply({str(SHOP)!r})
k.wait()
print(k.facts["pid"], flush=True)
try:
    k.pod("shop/client").run("sleep 60")
except Exception as error:
    print(type(error).__name__, error, flush=True)
"""


@pytest.mark.parametrize("victim", ["keeper", "kernel"])
def test_it_ends_with_each_of_its_processes(victim: str) -> None:
    with client(LAB) as notebook:
        assert notebook.stdout
        launcher = int(notebook.stdout.readline())
        (keeper,) = (int(p) for p in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split())
        (kernel,) = (int(p) for p in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split())
        processes = descendants(launcher) | {launcher}
        os.kill(keeper if victim == "keeper" else kernel, signal.SIGKILL)
        wait_until(lambda: not alive(processes), 1.0, "the end of the lab")
        said, _ = notebook.communicate(timeout=10)
    assert said.startswith("SandboxError the lab")
    if victim == "kernel":
        assert "the lab's kernel was killed. If nobody did it on purpose, the machine ran out of memory" in said


def test_a_call_to_a_kernel_that_stands_still_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    k = lab.start(name="still", nodes=1)
    (keeper,) = (int(p) for p in Path(f"/proc/{k.facts['pid']}/task/{k.facts['pid']}/children").read_text().split())
    (kernel,) = (int(p) for p in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split())
    processes = descendants(k.facts["pid"])
    monkeypatch.setattr(channel_client, "PATIENCE", 0.2)
    os.kill(kernel, signal.SIGSTOP)
    with pytest.raises(
        SandboxError, match=r"no sign of life for 0.4 s: it hangs, or is stopped. End it with k.close()"
    ):
        k.pods()
    k.close()
    assert not alive(processes)


def test_a_long_call_to_a_lab_that_lives_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with lab.start(name="alive", nodes=1) as k:
        monkeypatch.setattr(channel_client, "PATIENCE", 0.5)
        assert k.node("node-1").run("sleep 3; echo done").stdout == "done\n"


def test_a_start_that_is_interrupted_leaves_nothing() -> None:
    before = threading.active_count()
    with client("from labkit import lab\nprint('go', flush=True)\nlab.start(sandbox='uml')") as notebook:
        assert notebook.stdout
        notebook.stdout.readline()
        wait_until(lambda: len(descendants(notebook.pid)) >= 3, 10, "the start of its kernel")
        processes = descendants(notebook.pid)
        os.kill(notebook.pid, signal.SIGINT)
        notebook.communicate(timeout=20)
    wait_until(lambda: not alive(processes), 1.0, "the end of its processes")
    assert threading.active_count() == before


def test_none_at_all_is_one_error_with_both_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoSandbox) as caught:
        lab.start(name="none", nodes=1, sandbox="auto", needs=["wireguard"])
    for words in ("Linux namespaces: this kernel lacks", "User-Mode Linux: User-Mode Linux is not installed", "doctor"):
        assert words in str(caught.value)
