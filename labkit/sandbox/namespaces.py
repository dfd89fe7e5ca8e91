"""The launcher of the `namespaces` kind: `-m labkit.sandbox.namespaces ENTRY CHANNEL_FD CLIENT_PID FOLDER STATE`.

    client (the notebook's kernel)
      └ launcher          watches the client and the lab by pidfd; when either ends, so does the other
          └ init          pid 1 in there: fences the file system, then only reaps; with it, everything ends
              └ the lab   ENTRY ("module:function"), called with the channel's socket

Every link of the chain ends with the one above, whatever the signal: the launcher polls the client's pidfd, init asks
the kernel to be killed with the launcher, and the end of init ends its PID namespace. User and PID namespaces want a
process with a single thread, which a notebook's kernel is not: hence a launcher.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import NoReturn

from labkit.errors import NoSandbox, StateError
from labkit.sandbox import state, syscalls
from labkit.sandbox.entry import Entry, Folder, failed, prepare, run
from labkit.sandbox.mounts import fence

FENCED = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID
INSIDE = syscalls.CLONE_NEWNET | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC


def main(argv: list[str]) -> int:
    """Run the lab until it or its client ends; the exit code is the lab's."""
    entry_name, channel_fd, client_pid, folder = argv[0], int(argv[1]), int(argv[2]), Folder(argv[3])
    kept = argv[4]
    client = os.pidfd_open(client_pid)
    if os.getppid() != client_pid:
        return 1  # the client has gone already, its number may be somebody else's
    channel = socket.socket(fileno=channel_fd)
    try:
        entry = prepare(entry_name)
        if kept:
            state.hold(kept)
        _user_namespace()
        syscalls.unshare(FENCED)
    except StateError as error:
        return failed(channel, error)
    except OSError as error:
        return failed(channel, NoSandbox(_why_not(error)))
    alive, hold = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(hold)
        folder.close()
        try:
            _init(channel, alive, entry, kept)
        finally:
            os._exit(4)
    os.close(alive)
    channel.close()
    try:
        return _watch(client, init)
    finally:
        folder.remove()


def _watch(client: int, init: int) -> int:
    """Wait for the end of the client or of the lab; kill the lab with the client."""
    lab = os.pidfd_open(init)
    poll = select.poll()
    poll.register(client, select.POLLIN)
    poll.register(lab, select.POLLIN)
    ended = {fd for fd, _ in poll.poll()}
    if lab not in ended:
        os.kill(init, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])


def _init(channel: socket.socket, alive: int, entry: Entry, kept: str) -> NoReturn:
    """Pid 1: fence the file system, start the lab, reap. Never returns."""
    syscalls.die_with_parent(signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)  # the launcher ended before the line above took hold
    try:
        fence(kept)
        _user_namespace(syscalls.CLONE_NEWNS)
        syscalls.unshare(INSIDE)
        syscalls.sethostname("labkit")
    except (NoSandbox, OSError) as error:
        os._exit(failed(channel, error if isinstance(error, NoSandbox) else NoSandbox(_why_not(error))))
    lab = os.fork()
    if lab == 0:
        os._exit(run(channel, entry))
    channel.close()
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == lab:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _user_namespace(also: int = 0) -> None:
    """A new user namespace in which this user is root. Without one, root goes on without.

    The second of them (with the mounts, `also`) locks the mount flags that the first one set: even root in there
    cannot make the host's files writable again.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | also)
    except OSError:
        if uid != 0:
            raise
        syscalls.unshare(also)
        return
    setgroups = Path("/proc/self/setgroups")
    if setgroups.read_text().strip() != "deny":
        setgroups.write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _why_not(error: OSError) -> str:
    return (
        f"this machine does not let you make user namespaces ({error.strerror or error}), and you are not its root: "
        "allow them (`sudo sysctl -w kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
        "user.max_user_namespaces=15000`, as far as these exist), or start the notebook as root"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
