"""The launcher of the `uml` sandbox: `python -m labkit.sandbox.uml ENTRY CHANNEL_FD CLIENT_PID FOLDER STATE MEGABYTES`.

    client (the notebook's kernel)
      └ launcher             watches the client
          └ keeper           watches the launcher and the kernel; both are the parents of what loses its own
              └ linux.uml    a Linux kernel as an ordinary process: User-Mode Linux, and its processes
                    guest.py, pid 1 in there, then the lab: ENTRY ("module:function")

No privilege is needed. The host's files are the guest's root file system, read-only; Landlock and seccomp around the
kernel hold that against the guest's root as well. The channel is the guest's first serial line, stderr its second.
Whichever of the three ends, by whatever signal, the others follow: the one that is left ends all processes below it.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path

from labkit.errors import NoSandbox, StateError
from labkit.sandbox import landlock, remedies, seccomp, state, syscalls
from labkit.sandbox.entry import Folder, failed

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
STARTED, ENDED = "labkit: the guest has started", "labkit: the lab has ended with code "
SCRATCH = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108 - where the memory may lie, the best first
ROOM = 64 << 20  # bytes that are left to others where it lies
NONE = "-"  # in place of a folder (the kernel puts arguments of its own behind those of its first process)
KEPT = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS")


def main(argv: list[str]) -> int:
    """Run the lab until it or its client ends; the exit code is the lab's."""
    entry, channel_fd, client_pid, folder, kept = argv[0], int(argv[1]), int(argv[2]), Folder(argv[3]), argv[4]
    megabytes = int(argv[5])
    client = os.pidfd_open(client_pid)
    if os.getppid() != client_pid:
        return 1  # the client has gone already, its number may be somebody else's
    channel = socket.socket(fileno=channel_fd)
    errors = os.dup(sys.stderr.fileno())  # the kernel's own number 2 is its console
    try:
        program = _kernel()
        if kept:
            state.hold(kept)
        scratch = tempfile.mkdtemp(prefix="labkit-", dir=_scratch(megabytes << 20))
        command = [program, *_arguments(entry, kept, scratch, megabytes, channel.fileno(), errors)]
    except (NoSandbox, StateError) as error:
        return failed(channel, error)
    syscalls.adopt_orphans()
    alive, hold = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(hold)
        folder.close()
        code = 1
        try:
            code = _keep(alive, channel, errors, command, scratch, kept)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        _end(scratch)
        os._exit(code)
    os.close(alive)
    channel.close()
    kept_alive = os.pidfd_open(keeper)
    _first_of(client, kept_alive)
    os.close(hold)  # the keeper's sign
    code = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    _end(scratch)
    folder.remove()
    return code


def _keep(launcher: int, channel: socket.socket, errors: int, command: list[str], scratch: str, kept: str) -> int:
    """Run the kernel until it or the launcher ends; tell the client where it did not come up."""
    syscalls.adopt_orphans()

    def fence() -> None:
        landlock.only_below([scratch, "/dev/null", *([kept] if kept else [])])
        seccomp.keep_metadata()

    environment = {"TMPDIR": scratch, "HOME": scratch, "PATH": os.environ.get("PATH", os.defpath)}
    fds = [channel.fileno(), errors]
    try:
        kernel = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=fds,
            env=environment, cwd="/", start_new_session=True, preexec_fn=fence,
        )  # fmt: skip
    except subprocess.SubprocessError:  # of `fence`, which the kernel refused
        return failed(channel, NoSandbox(remedies.NO_FENCE))
    assert kernel.stdout is not None  # noqa: S101 - stdout=PIPE above
    said = _Console(kernel.stdout.fileno())
    ended = os.pidfd_open(kernel.pid)
    while _first_of(launcher, ended, said.fd) == {said.fd}:
        said.read()
        if said.started:  # it has its memory open, and wants nothing else of what lies there
            shutil.rmtree(scratch, ignore_errors=True)
    if launcher in _first_of(launcher, ended, timeout=0):
        return 1
    said.read()
    code = kernel.wait()
    if not said.started:
        return failed(channel, NoSandbox(remedies.not_started(said.text(), code)))
    if said.code is not None:
        return said.code
    if code:
        print(remedies.died(said.text(), code), file=sys.stderr, flush=True)  # noqa: T201 - what the client is told
        return 1
    return 0


class _Console:
    """The last lines of what the kernel says; `started` and the lab's exit `code` by the word of its first process."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.started = False
        self.code: int | None = None
        self._lines: deque[str] = deque(maxlen=50)
        os.set_blocking(fd, False)

    def read(self) -> None:
        with suppress(BlockingIOError):
            while self.fd >= 0 and (data := os.read(self.fd, 65536)):
                self._lines.extend(data.decode(errors="replace").splitlines())
                for line in self._lines:
                    self.started = self.started or STARTED in line
                    if ENDED in line:
                        self.code = int(line.rpartition(" ")[2])
            self.fd = -1  # the kernel has ended

    def text(self) -> str:
        return "\n".join(self._lines)


def _first_of(*fds: int, timeout: int | None = None) -> set[int]:
    """Wait until one of the descriptors has something to say, or its process has ended; those that do."""
    poll = select.poll()
    for fd in fds:
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(timeout)}


def _end(scratch: str) -> None:
    """Kill what is left below this process, and remove its directory. May come after another one that did the same."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := [int(pid) for pid in children.read_text().split()]:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    shutil.rmtree(scratch, ignore_errors=True)


def _kernel() -> str:
    """Path of the kernel. Raises `NoSandbox` where it, or its modules, are missing."""
    program = shutil.which(KERNEL)
    if program is None or not MODULES.is_dir():
        raise NoSandbox(remedies.NOT_INSTALLED)
    return program


def _scratch(size: int) -> str:
    """A directory for the guest's memory, `size` bytes. Raises `NoSandbox` where there is none with room for it."""
    own = str(Path(os.environ.get("TMPDIR", SCRATCH[0])).absolute())
    reasons = []
    for directory in dict.fromkeys([own, *SCRATCH]):
        if " " in directory:
            reasons.append(f"{directory} has a space in its name")
            continue
        if not os.access(directory, os.W_OK):
            reasons.append(f"{directory} is not writable")
            continue
        about = os.statvfs(directory)
        free: int = about.f_bavail * about.f_frsize
        if about.f_flag & os.ST_NOEXEC:
            reasons.append(f"{directory} is mounted noexec")
        elif free < size + ROOM:
            reasons.append(f"{directory} has {free >> 20} MB left")
        else:
            return directory
    raise NoSandbox(remedies.no_room(size >> 20, reasons))


def _arguments(entry: str, kept: str, scratch: str, megabytes: int, channel: int, errors: int) -> list[str]:
    """The kernel's command line, with the first process and its environment in it.

    Source: Documentation/virt/uml/user_mode_linux_howto_v2.rst, admin-guide/kernel-parameters.rst.
    """
    environment = [_quoted(f"{name}={os.environ[name]}") for name in KEPT if name in os.environ]
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # read-only in there, under another HOME
    environment.append(_quoted(f"XDG_CACHE_HOME={cache}"))
    return [
        f"mem={megabytes}M",
        "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
        "con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{channel}", f"ssl1=null,fd:{errors}",
        f"uml_dir={scratch}", "umid=lab", "quiet", "loglevel=1", "panic=-1",
        "initcall_blacklist=raid6_select_algo",  # a benchmark, one second of the start
        *environment,
        _quoted(f"init={sys.executable}"), "--", "-P", "-m", "labkit.sandbox.guest", entry, _quoted(kept or NONE),
    ]  # fmt: skip


def _quoted(word: str) -> str:
    """A word of the kernel's command line, which knows one way of quoting: `"a b"`."""
    if '"' in word:
        raise NoSandbox(f"User-Mode Linux cannot be started from a folder with a quotation mark in its name: {word}")
    return f'"{word}"' if " " in word else word


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
