"""What every launcher does, whichever kind of sandbox it makes: find the entry, run it inside, say why it could not.

An entry is "module:function"; it gets the channel and serves it until the other end goes.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from labkit.errors import LabError, to_wire
from labkit.sandbox.channel import EVENT, OPEN, Stream, frame

Entry = Callable[[Stream], None]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FAILED = 3  # exit code of a launcher that has told the client why


def prepare(name: str) -> Entry:
    """Import the entry: whatever is loaded by now is shared by all processes of the lab."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{PATH}"
    module, function = name.split(":")
    entry: Entry = getattr(import_module(module), function)
    gc.collect()
    gc.freeze()
    return entry


def run(channel: Stream, entry: Entry) -> int:
    """The life of the lab's first process; returns its exit code. The client hears that the channel is open."""
    os.chdir("/")
    try:
        write(channel, frame(EVENT, 0, OPEN, {}))
        entry(channel)
    except SystemExit as end:
        print(end, file=sys.stderr)  # noqa: T201 - what the client is told
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stderr.flush()
    return 0


def failed(channel: Stream, error: LabError) -> int:
    """Tell the client why there is no lab; returns the launcher's exit code."""
    write(channel, frame(EVENT, 0, "failed", {"error": to_wire(error)}))
    return FAILED


def write(channel: Stream, data: bytes) -> None:
    while data:
        data = data[os.write(channel.fileno(), data) :]


class Folder:
    """A folder of the host that goes with the sandbox, whatever its path leads to in the mount namespace of the end.

    Nobody inside may have this: whoever forks the lab closes it there.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        self._parent = os.open(Path(path).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if path else -1

    def close(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)

    def remove(self) -> None:
        if self._parent >= 0:
            shutil.rmtree(self._name, ignore_errors=True, dir_fd=self._parent)
