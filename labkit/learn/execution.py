"""Execute a notebook without a browser, and say what it saw: `labkit check`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.errors import NotFound
from labkit.learn.claims import MARK

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode


class Seen(msgspec.Struct, frozen=True):
    """What an execution gave. `problem` is empty when all went well."""

    name: str
    cells: int
    pictures: int
    tables: int
    claims: tuple[str, ...]
    seconds: float
    problem: str = ""

    @property
    def good(self) -> bool:
        return not self.problem

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {self.cells} cells ran in {self.seconds:.1f} s; "
            f"{self.pictures} pictures, {self.tables} tables, {len(self.claims)} points demonstrated",
            *(f"  {claim}" for claim in self.claims),
        ]
        return "\n".join([*lines, self.problem] if self.problem else lines)


def execute(path: Path, write: bool = False) -> Seen:
    """Run all cells in a fresh kernel, in the notebook's folder; with `write`, keep the outputs in the file.

    Raises `NotFound` where there is no such notebook. A failing cell ends the run: `problem` says which, and why.
    """
    import nbformat
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    if not path.is_file():
        raise NotFound(f"there is no notebook {path}")
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has types in part
    began, problem = time.monotonic(), ""
    with TemporaryDirectory(prefix="labkit-") as private:  # the kernel's sockets: files in here, not ports
        kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{private}/kernel")
        place = {"metadata": {"path": path.parent}}
        client = NotebookClient(notebook, km=kernel, timeout=300, resources=place, record_timing=False)
        try:
            asyncio.run(_run(client))
        except CellExecutionError as error:
            problem = str(error)
    seconds = time.monotonic() - began
    if write and not problem:
        notebook.metadata.pop("widgets", None)  # their state, with other numbers in every run
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return _seen(path.stem, notebook, seconds, problem)


async def _run(client: NotebookClient) -> None:
    """Execute all cells, and look at the shell socket twice a second.

    To answer a widget, nbclient sends on the socket that it waits on, which can swallow the wake-up for a reply that
    has come already: it would wait for it until the time-out. Source: jupyter/nbclient, issue 312.
    """
    import zmq

    running = asyncio.create_task(client.async_execute(cleanup_kc=True))  # and end the kernel, which is ours
    while not running.done():
        await asyncio.wait({running}, timeout=0.5)
        if client.kc is not None:
            client.kc.shell_channel.socket.get(zmq.EVENTS)
    await running


def _seen(name: str, notebook: NotebookNode, seconds: float, problem: str) -> Seen:
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    outputs: list[Any] = [output for cell in ran for output in cell.outputs]
    data = [output.get("data", {}) for output in outputs]
    text = "".join(output.get("text", "") for output in outputs)
    return Seen(
        name=name,
        cells=len(ran),
        pictures=sum("image/png" in d for d in data),
        tables=sum("<table" in d.get("text/html", "") for d in data),
        claims=tuple(line for line in text.splitlines() if line.startswith(MARK)),
        seconds=seconds,
        problem=problem,
    )
