"""What one learner costs: JupyterLab, a notebook's kernel and its lab. Prints JSON.

    python tests/binder/measure.py [NOTEBOOK…]     in whichever sandbox a lab gets there; without names, all notebooks

Memory in MB (PSS: a page that processes share counts once) with the notebook executed and its lab running; seconds of
lab.start(); seconds of the processors for JupyterLab and all notebooks, one after another.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.paths import jupyter_runtime_dir

from labkit.linux import memory

PROJECT = Path(__file__).parents[2]
NOTEBOOKS = PROJECT / "notebooks"


def main(names: list[str]) -> None:
    names = names or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    began = os.times()
    with server() as (process, address, token):
        notebooks = {name: learner(NOTEBOOKS / f"{name}.ipynb", process.pid, address, token) for name in names}
    ended = os.times()
    cpu = sum(ended[2:4]) - sum(began[2:4])  # of the children that have ended
    print(json.dumps({"notebooks": notebooks, "cpu": round(cpu, 1)}, indent=1))  # noqa: T201


def learner(path: Path, server: int, address: str, token: str) -> dict[str, float]:
    """Execute a notebook in a kernel of its own, up to the end of its lab, and measure."""
    kernel = ask("POST", f"{address}api/kernels", token, {"path": "notebooks"})["id"]
    client = BlockingKernelClient(connection_file=str(Path(jupyter_runtime_dir(), f"kernel-{kernel}.json")))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    start = next(seconds for code, seconds in list(run(client, path)) if "lab.start(" in code)
    memory = pss(server)
    execute(client, "k.close()")
    client.stop_channels()
    ask("DELETE", f"{address}api/kernels/{kernel}", token)
    return {**memory, "start": round(start, 1)}


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A JupyterLab that only this process knows the token of: itself, its address, the token."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex()
    command = [str(Path(sys.executable).with_name("jupyter-lab")), "--no-browser", f"--port={port}"]
    command += ["--allow-root"] if os.geteuid() == 0 else []
    environment = {**os.environ, "JUPYTER_TOKEN": token, "JUPYTER_PREFER_ENV_PATH": "1"}
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            until_it_listens(port)
            yield process, f"http://127.0.0.1:{port}/", token
        finally:
            process.send_signal(signal.SIGTERM)


def until_it_listens(port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def ask(method: str, url: str, token: str, body: Any = None) -> Any:
    headers = {"Authorization": f"token {token}"}
    request = Request(url, json.dumps(body).encode(), headers, method=method)  # noqa: S310 - the server's own address
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read() or "null")


def run(client: BlockingKernelClient, path: Path) -> Iterator[tuple[str, float]]:
    """Execute the cells of a notebook up to the end of its lab: each cell, and the seconds that it took."""
    for cell in json.loads(path.read_text())["cells"]:
        code = "".join(cell["source"])
        if cell["cell_type"] == "code" and "k.close()" not in code:
            began = time.monotonic()
            execute(client, code)
            yield code, time.monotonic() - began


def execute(client: BlockingKernelClient, code: str) -> None:
    reply = client.execute_interactive(code, timeout=300, output_hook=lambda _: None)["content"]
    if reply["status"] != "ok":
        raise RuntimeError("\n".join(reply.get("traceback", [])) or f"{code}: {reply['status']}")


def pss(server: int) -> dict[str, int]:
    """Memory of the server, of the kernel below it, and of the lab below that."""
    everything = memory.below(server)
    (kernel,) = (p for p in everything if parent(p) == server)
    parts = {"jupyterlab": [server], "kernel": [kernel], "lab": [p for p in memory.below(kernel) if p != kernel]}
    found = {name: round(memory.resident(processes)["pss"] / (1 << 20)) for name, processes in parts.items()}
    return {**found, "all": sum(found.values())}


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
