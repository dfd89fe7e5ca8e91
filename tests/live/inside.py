"""Run a test function in the sandbox: root in there, a network of its own, nothing of the host's to harm.

    from inside import in_sandbox

    @in_sandbox
    def test_two_namespaces_meet():      # or `async def`; parameters from parametrize are plain values
        ...

The function's file is loaded again inside, so its imports and helpers are there; fixtures are not.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.sandbox.channel import Peer, Stream
from labkit.sandbox.start import Sandbox

HERE = str(Path(__file__).parent)
SHARED = str(Path(__file__).parents[1] / "conformance")
PROJECT = str(Path(__file__).parents[2])  # the one under test, wherever another is installed

NFT = pytest.mark.sandbox("namespaces")  # User-Mode Linux has no nf_tables for IP packets
VARIANTS = pytest.mark.parametrize("variant", [pytest.param("nft", marks=NFT), "legacy"])


def in_sandbox(function: Callable[..., Any]) -> Callable[..., None]:
    """The test as pytest sees it: starts a sandbox, runs `function` in there, fails with its traceback."""

    @functools.wraps(function)
    def test(**params: Any) -> None:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join((HERE, SHARED, PROJECT))
        try:
            sandbox = Sandbox("inside:main", os.environ["LABKIT_SANDBOX"])
        finally:
            os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
        try:
            sandbox.call("load", path=inspect.getfile(function))
            failure = sandbox.call("run", name=function.__name__, params=params)
        finally:
            sandbox.close()
        if failure:
            pytest.fail(f"in the sandbox:\n{failure}", pytrace=False)

    return test


def main(channel: Stream) -> None:
    """The sandbox's side."""
    asyncio.run(_serve(channel))


async def _serve(channel: Stream) -> None:
    module: Any = None

    def load(path: str) -> None:
        nonlocal module
        spec = importlib.util.spec_from_file_location("test_inside", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["test_inside"] = module
        spec.loader.exec_module(module)

    async def run(name: str, params: dict[str, Any]) -> str:
        function = getattr(module, name).__wrapped__
        try:
            result = function(**params)
            if inspect.isawaitable(result):
                await result
        except BaseException:
            return traceback.format_exc()
        return ""

    peer = await Peer.over(channel, {"load": load, "run": run})
    await peer.closed()
