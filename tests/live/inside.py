"""Run a test function in the sandbox: root in there, a network of its own, nothing of the host's to harm.

    from inside import in_sandbox

    @in_sandbox
    def test_two_namespaces_meet():      # or `async def`; parameters from parametrize are plain values
        ...

The function's file is loaded again inside, so its imports and helpers are there; fixtures are not.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import importlib.util
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from labkit.sandbox import syscalls
from labkit.sandbox.channel import Peer, Stream
from labkit.sandbox.guest import MODPROBE
from labkit.sandbox.mounts import GUARDED, SCRATCH, empty
from labkit.sandbox.start import Sandbox

HERE = str(Path(__file__).parent)
SHARED = str(Path(__file__).parents[1] / "conformance")
APART = (
    syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWPID
)
PROJECT = str(Path(__file__).parents[2])  # the one under test, wherever another is installed

NFT = pytest.mark.sandbox("namespaces")  # User-Mode Linux has no nf_tables for IP packets
ONCE = pytest.mark.sandbox("namespaces")  # decided outside of the lab, or by code that asks nothing of a kernel
VARIANTS = pytest.mark.parametrize("variant", [pytest.param("nft", marks=NFT), "legacy"])


def in_sandbox(function: Callable[..., Any]) -> Callable[..., None]:
    """The test as pytest sees it: runs `function` in there, fails with its traceback."""
    return _inside(function, True)


def in_fresh_sandbox(function: Callable[..., Any]) -> Callable[..., None]:
    """The same in a sandbox that nothing else has been in: for what is said about sandboxes."""
    return _inside(function, False)


def _inside(function: Callable[..., Any], shared: bool) -> Callable[..., None]:
    @functools.wraps(function)
    def test(**params: Any) -> None:
        kind = os.environ["LABKIT_SANDBOX"]
        apart = shared and kind == "uml"
        with _started(kind, apart) as sandbox:
            failure = sandbox.call(
                "run", path=inspect.getfile(function), name=function.__name__, params=params, apart=apart
            )
        if failure:
            pytest.fail(f"in the sandbox:\n{failure}", pytrace=False)

    return test


@contextmanager
def _started(kind: str, shared: bool) -> Iterator[Sandbox]:
    """A sandbox. A kernel takes seconds to boot: one serves all tests, each of them `apart`, until one goes wrong."""
    sandbox = (_kernels.pop(kind, None) if shared else None) or _start(kind)
    try:
        yield sandbox
    except BaseException:
        sandbox.close()
        raise
    if shared:
        _kernels[kind] = sandbox
    else:
        sandbox.close()


_kernels: dict[str, Sandbox] = {}


@atexit.register
def _close() -> None:
    for sandbox in _kernels.values():
        sandbox.close()


def _start(kind: str) -> Sandbox:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join((HERE, SHARED, PROJECT))
    try:
        return Sandbox("inside:main", kind)
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def main(channel: Stream) -> None:
    """The sandbox's side."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    peer = await Peer.over(channel, {"run": run})
    await peer.closed()


async def run(path: str, name: str, params: dict[str, Any], apart: bool = False) -> str:
    """What went wrong in the test, as text; `apart`: in a process that has new namespaces of every kind."""
    function = getattr(_loaded(path), name).__wrapped__
    if not apart:
        return await _result(function, params)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _apart(writer, function, params)
    os.close(writer)
    told = await _read(reader)
    os.waitpid(child, 0)
    return str(json.loads(told)) if told else "the test's process ended without a word"


@functools.cache
def _loaded(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("test_inside", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["test_inside"] = module
    spec.loader.exec_module(module)
    return module


async def _result(function: Callable[..., Any], params: dict[str, Any]) -> str:
    try:
        result = function(**params)
        if inspect.isawaitable(result):
            await result
    except BaseException:
        return traceback.format_exc()
    return ""


def _apart(writer: int, function: Callable[..., Any], params: dict[str, Any]) -> NoReturn:
    """In a child: a machine as it is after its boot, in which this process's child is the first one."""
    try:
        syscalls.unshare(APART)
        if init := os.fork():
            os.close(writer)
            os.waitpid(init, 0)
            os._exit(0)
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        for kind in ("proc", "sysfs"):
            syscalls.mount(kind, "/proc" if kind == "proc" else "/sys", kind, GUARDED)
        modprobe = os.open(MODPROBE.parent, os.O_PATH)
        for directory in SCRATCH:
            if Path(directory).is_dir() and not Path(directory).is_symlink():
                empty(directory)
        MODPROBE.parent.mkdir()
        syscalls.mount(f"/proc/thread-self/fd/{modprobe}", str(MODPROBE.parent), flags=syscalls.MS_BIND)
        failure = asyncio.run(_result(function, params))
    except BaseException:
        failure = traceback.format_exc()
    with open(writer, "w") as told:
        json.dump(failure, told)
    os._exit(0)


async def _read(reader: int) -> bytes:
    """All that is written to a pipe until it is closed."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(loop=loop)
    pipe = open(reader, "rb")  # noqa: SIM115 - the transport closes it
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
    try:
        return await stream.read()
    finally:
        transport.close()
