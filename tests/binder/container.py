"""A container without a container engine: `/usr/bin/python3 -m container JSON`, as root. Ends with the command's code.

    this process       waits; its end is the container's end
      └ pid 1          new mount, PID, IPC, UTS (and network) namespaces; the root is an overlay; then the command

The JSON is `Container` below. Debian's own Python runs it, for its package python3-seccomp.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import seccomp
from docker_profile import AF_VSOCK, MASKED, NAMESPACES, PERSONALITIES, READ_ONLY, REFUSED

from labkit.linux.rtnetlink import Links
from labkit.sandbox import syscalls
from labkit.sandbox.syscalls import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC
OWN = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost\n"


@dataclass(frozen=True)
class Container:
    """What to run, and on what.

    layers    folders that make up the root, the lowest first
    scratch   an empty folder to work in; nothing is left in it
    upper     a folder that keeps what is written, with `upper`.work beside it; without one, nothing is kept
    build     a step of an image's build: the machine's network, root's capabilities, no filter; `binds` are places
              where a file of the machine shows
    """

    layers: list[str]
    scratch: str
    argv: list[str]
    env: dict[str, str]
    user: str = "root"
    workdir: str = "/"
    upper: str = ""
    build: bool = False
    binds: dict[str, str] = field(default_factory=dict)


def main(container: Container) -> int:
    syscalls.unshare(OWN if container.build else OWN | syscalls.CLONE_NEWNET)
    init = os.fork()
    if init == 0:
        try:
            syscalls.die_with_parent(signal.SIGKILL)
            start(container)
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(125)
    return os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])


def start(container: Container) -> None:
    """Become the command; returns never, or with an exception."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    root = overlay(container)
    for path, source in container.binds.items():
        show(source, root + path)
    if not container.build:
        (Path(root) / "etc/hostname").write_text("binder\n")
        (Path(root) / "etc/hosts").write_text(HOSTS)
        with Links() as links:
            links.set_link("lo", up=True)
    syscalls.sethostname("binder")
    system(root)
    enter(root)
    for path in MASKED:
        mask(path)
    for path in READ_ONLY:
        if Path(path).exists():
            mount(path, path, flags=MS_BIND | MS_REC)
            mount("none", path, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | SAFE)
    os.chdir(container.workdir)
    argv = [*become(container), *container.argv]
    if not container.build:
        profile().load()  # and no_new_privs with it
    os.execvpe(argv[0], argv, container.env)  # noqa: S606 - what the image or a test says


def overlay(container: Container) -> str:
    mount("tmpfs", container.scratch, "tmpfs", data="mode=755")
    upper, work, root = container.upper, f"{container.upper}.work", f"{container.scratch}/root"
    if not upper:
        upper, work = f"{container.scratch}/upper", f"{container.scratch}/work"
    for path in (upper, work, root):
        Path(path).mkdir(exist_ok=True)
    lower = ":".join(reversed(container.layers))
    mount("overlay", root, "overlay", data=f"lowerdir={lower},upperdir={upper},workdir={work}")
    return root


def show(source: str, target: str) -> None:
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).touch()
    mount(os.path.realpath(source), target, flags=MS_BIND)


def system(root: str) -> None:
    """/proc, /sys and /dev as Docker makes them."""
    mount("proc", f"{root}/proc", "proc", SAFE)
    mount("sysfs", f"{root}/sys", "sysfs", SAFE | MS_RDONLY)
    dev = f"{root}/dev"
    mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in DEVICES:
        show(f"/dev/{name}", f"{dev}/{name}")
    for name in ("pts", "shm", "mqueue"):
        Path(dev, name).mkdir()
    mount("devpts", f"{dev}/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5")
    mount("shm", f"{dev}/shm", "tmpfs", SAFE, "mode=1777,size=64m")
    mount("mqueue", f"{dev}/mqueue", "mqueue", SAFE)
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0"}
    for name, target in {**links, "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}.items():
        Path(dev, name).symlink_to(target)


def enter(root: str) -> None:
    """pivot_root, and nothing of the machine's files is left: man 2 pivot_root, "." twice."""
    os.chdir(root)
    if ctypes.CDLL(None, use_errno=True).pivot_root(b".", b"."):
        raise OSError(ctypes.get_errno(), "pivot_root")
    syscalls.umount(".")
    os.chdir("/")


def mask(path: str) -> None:
    if Path(path).is_dir():
        mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0k")
    elif Path(path).exists():
        mount("/dev/null", path, flags=MS_BIND)


def become(container: Container) -> list[str]:
    """The beginning of a command line whose rest runs as the user; in a finished image without any privilege."""
    if container.build and container.user == "root":
        return []
    accounts = (line.split(":") for line in Path("/etc/passwd").read_text().splitlines())
    uid, gid = next((a[2], a[3]) for a in accounts if container.user in (a[0], a[2]))
    privileges = [] if container.build else ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *privileges]


def profile() -> seccomp.SyscallFilter:
    """Docker's filter (docker_profile.py): all that is known and not refused is allowed, the rest answers EPERM."""
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    refused = {name for names in REFUSED.values() for name in names.split()}
    for name in calls() - refused - {"clone", "clone3", "socket", "personality"}:
        rules.add_rule(seccomp.ALLOW, name)
    rules.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, NAMESPACES, 0))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # the C library then takes clone
    rules.add_rule(seccomp.ALLOW, "socket", seccomp.Arg(0, seccomp.NE, AF_VSOCK))
    for value in PERSONALITIES:
        rules.add_rule(seccomp.ALLOW, "personality", seccomp.Arg(0, seccomp.EQ, value))
    return rules


def calls() -> set[str]:
    """The name of every call that this machine's libseccomp knows."""
    names = set()
    for number in range(512):
        with suppress(ValueError):
            names.add(seccomp.resolve_syscall(seccomp.Arch(), number).decode())
    return names


if __name__ == "__main__":
    sys.exit(main(Container(**json.loads(sys.argv[1]))))
