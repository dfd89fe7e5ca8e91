"""`labkit kube-proxy`: this proxy by itself on a node, as the real one's program is.

    flags, file ──> configuration
    API server ── list, watch ──> Tracker ──> KubeProxy ──> the network namespace that this process is in

It logs as klog does, on stderr. SIGTERM ends it, and the rules stay. Source: Kubernetes v1.34, cmd/kube-proxy/app.
"""

from __future__ import annotations

import asyncio
import os
import platform as machine
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit.cluster.node_proxy import NodeProxy
from labkit.errors import LabError
from labkit.linux import iptables
from labkit.linux.iptables import Variant
from labkit.proxy import klog
from labkit.proxy.client.api import HERE
from labkit.proxy.client.kubeconfig import load
from labkit.proxy.config import ProxyConfig
from labkit.proxy.configuration import text
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.flags import FIELDS, LOGGING, OTHERS, Options, parse, resolve
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.configuration.validation import MODES as REAL
from labkit.proxy.configuration.validation import validate
from labkit.proxy.metrics import VERSION
from labkit.proxy.modes import LASTING, MODES

LOOK = 1.0
"""Seconds between looks at the configuration file: one that changes ends the program, which then is started anew."""


def main(arguments: Sequence[str]) -> int:
    """Run it; the exit code is 0 when what was asked for is done, 1 where it cannot be."""
    try:
        options = parse(arguments)
        if options.help:
            return _help()
        if options.version:
            print(f"Kubernetes {VERSION}")  # noqa: T201
            return 0
        return _run(options)
    except LabError as error:
        say(klog.ERROR, "run.go:72", "command failed", {"err": error.message})
        return 1


def say(level: str, place: str, message: str, facts: dict[str, Any]) -> None:
    sys.stderr.write(klog.line(level, datetime.now(), place, message, facts))
    sys.stderr.flush()


def _run(options: Options) -> int:
    config = _configuration(options)
    if options.write_config_to:
        Path(options.write_config_to).write_text(text.written(config))
        say(klog.INFO, "options.go:500", "Wrote configuration", {"file": options.write_config_to})
        return 0
    variant = _variant()
    if options.cleanup:
        return asyncio.run(_cleanup(variant))
    if options.init_only:
        return 0
    return asyncio.run(_serve(options, config, variant))


def _configuration(options: Options) -> KubeProxyConfiguration:
    """Raises `ConfigError`."""
    file = None
    if options.config:
        try:
            content = Path(options.config).read_text()
        except OSError as error:
            said = f"failed complete: open {options.config}: {(error.strerror or '').lower()}"
            raise text.ConfigError(said) from None
        file, complaints = text.read(content)
        if complaints:
            say(*text.lenient(complaints))
    config = resolve(options, file)
    if faults := validate(config, [mode for mode in MODES if mode not in REAL]):
        many = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        raise text.ConfigError(f"failed validate: {many}", problems=faults)
    if config.mode not in MODES:
        raise text.ConfigError(f"unknown mode {config.mode!r}")
    return config


def _variant() -> Variant:
    """What `iptables` means on this node; where nothing is called so, what works."""
    found = iptables.default_variant()
    return found if found is not None else iptables.probe(HERE)


async def _cleanup(variant: Variant) -> int:
    """Remove what the modes leave behind."""
    code = 0
    for mode in LASTING:
        try:
            await MODES[mode](HERE, ProxyConfig(), variant, False).stop()
        except LabError as error:
            if mode == "iptables":
                code = 1
            say(klog.ERROR, "server_linux.go:600", "Error cleaning up", {"mode": mode, "err": error.message})
    return code


async def _serve(options: Options, config: KubeProxyConfiguration, variant: Variant) -> int:
    name = config.hostname_override or socket.gethostname().strip().lower()
    agent = f"kube-proxy/{VERSION} (linux/{machine.machine()}) labkit"
    access = load(config.client_connection.kubeconfig, options.master)
    node = NodeProxy(name, Settings(config), variant, access, agent, say)
    ends = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _once, ends.set_result, number, ends)
    tasks = {asyncio.ensure_future(node.run()), ends}
    if options.config:
        tasks.add(asyncio.ensure_future(_changed(Path(options.config))))
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await node.stop()
    for task in tasks - done:
        task.cancel()
    if ends in done:
        number = ends.result()
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    for task in done:
        task.result()
    return 1


def _once(set_result: Callable[[int], None], number: int, ends: asyncio.Future[int]) -> None:
    if not ends.done():
        set_result(number)


async def _changed(path: Path) -> None:
    """Returns never; raises `ConfigError` when the file has changed."""
    first = _state(path)
    while _state(path) == first:
        await asyncio.sleep(LOOK)
    raise text.ConfigError("content of the proxy server's configuration file was updated")


def _state(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def _help() -> int:
    print("The Kubernetes network proxy of this node, by labkit. Its flags are those of kube-proxy v1.34:\n")  # noqa: T201
    for name in sorted([*FIELDS, *LOGGING, *OTHERS]):
        print(f"  --{name}")  # noqa: T201
    return 0
