"""iptables in a network namespace: which of its two variants works, restore, save.

`restore` and `save` run in the calling thread; `apply` is for an asyncio loop. The rules' text is made elsewhere.
"""

from __future__ import annotations

import asyncio
import fcntl
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryFile
from typing import IO, cast

from labkit.errors import RuleError
from labkit.linux import netns
from labkit.net.rules import Family

BIN = Path("/run/labkit/bin")
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_LINE = re.compile(r"line:? (\d+)")
PIECE = 1 << 18
"""Characters of restore text that are handed over at once: a thread that has to wait its turn for each must not hold up
the program that it feeds. A pipe holds a few of them.
"""
PROBE = """*nat
:LABKIT-PROBE - [0:0]
-A LABKIT-PROBE -m comment --comment probe -m statistic --mode random --probability 0.5 -j MASQUERADE --random-fully
COMMIT
*nat
:LABKIT-PROBE - [0:0]
-X LABKIT-PROBE
COMMIT
"""


class Variant(Enum):
    """The two programs called iptables: one speaks to nf_tables, the other to the older x_tables."""

    NFT = "nft"
    LEGACY = "legacy"

    @property
    def batch(self) -> int | None:
        """Lines that one transaction may have. nft sends it in one piece, which in a user namespace may not be
        larger than the socket's send buffer (measured: 434 lines passed, more did not); legacy has no limit.
        """
        return 250 if self is Variant.NFT else None

    def command(self, tool: str, family: Family) -> str:
        """`iptables-nft-restore`, `ip6tables-legacy-save` …; `tool` is "restore" or "save"."""
        return f"{'ip6tables' if family == 'IPv6' else 'iptables'}-{self.value}-{tool}"


def probe(path: str, among: Iterable[Variant] = Variant) -> Variant:
    """The variant to use in the namespace at `path`: the first that works, nft, as real nodes have, before legacy.

    It makes and deletes a chain, so that a kernel which lacks a part that kube-proxy's rules need is found out.
    Raises `RuleError` where none works.
    """
    reasons = []
    for variant in among:
        try:
            restore(path, PROBE, variant)
        except RuleError as error:
            reasons.append(error.message)
        else:
            return variant
    raise RuleError(f"no iptables works in {path}: {'; '.join(reasons)}. `labkit doctor` says what is missing")


def default_variant() -> Variant | None:
    """What the program called `iptables` is; None where there is none, or it does not say."""
    try:
        said = subprocess.run(["iptables", "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    return Variant.LEGACY if "(legacy)" in said else Variant.NFT if "(nf_tables)" in said else None


def provide(variant: Variant) -> None:
    """Let `iptables`, `iptables-save` and so on mean this variant for the programs of the lab, as on a real node.

    Links in BIN, which comes first in their PATH; the host's own choice between the variants stays as it is.
    """
    BIN.mkdir(parents=True, exist_ok=True)
    for family in ("iptables", "ip6tables"):
        for tool in ("", "-save", "-restore"):
            if program := shutil.which(f"{family}-{variant.value}{tool}", path=_PATH):
                (BIN / f"{family}{tool}").symlink_to(program)


def restore(path: str, text: str | Iterable[str], variant: Variant, family: Family = "IPv4") -> None:
    """Feed `text`, whole or in parts, to iptables-restore in the namespace at `path`, keeping rules that it does not
    mention.

    Each `*table … COMMIT` of it takes effect as a whole or not at all. Raises `RuleError` with the refused line.
    """
    command = [variant.command("restore", family), "--noflush", "--wait"]
    fed: list[str] = []
    with TemporaryFile() as said, _started(path, command, subprocess.DEVNULL, said) as process:
        pipe = cast(IO[bytes], process.stdin)
        with suppress(OSError):  # it stays smaller where the host allows no more
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4 * PIECE)
        with suppress(BrokenPipeError):  # it ends at the first line that it refuses
            for part in [text] if isinstance(text, str) else text:
                fed.append(part)
                pipe.write(part.encode())
        process.communicate()
        said.seek(0)
        stderr = said.read().decode().strip()
    if process.returncode:
        raise _refusal(path, command[0], "".join(fed), stderr)


def save(path: str, variant: Variant, table: str = "", family: Family = "IPv4") -> str:
    """What iptables-save prints for one table, or for all. Raises `RuleError` where it fails."""
    command = [variant.command("save", family), *(["-t", table] if table else [])]
    with _started(path, command, subprocess.PIPE, subprocess.PIPE) as process:
        saved, said = process.communicate()
    if process.returncode:
        raise RuleError(f"{command[0]} in {path} failed: {said.decode().strip()}")
    return saved.decode()


async def apply(path: str, parts: Iterable[str], variant: Variant, family: Family = "IPv4") -> str:
    """`restore` in a thread of its own, so that several nodes are served side by side, and the first parts of a long
    text are in work while the next are made. Returns the text; where it is empty, nothing is started.
    """
    feed: SimpleQueue[str] = SimpleQueue()
    restored, whole = None, list[str]()
    try:
        for text in _pieces(parts):
            feed.put(text)
            whole.append(text)
            if restored is None:
                rest = iter(feed.get, "")
                restored = asyncio.get_running_loop().run_in_executor(None, restore, path, rest, variant, family)
    finally:
        feed.put("")
        if restored is not None:
            await restored
    return "".join(whole)


def _pieces(parts: Iterable[str]) -> Iterator[str]:
    """Parts put together, so that it pays to wake a thread for them."""
    piece, size = list[str](), 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= PIECE:
            yield "".join(piece)
            piece, size = [], 0
    if size:
        yield "".join(piece)


def _started(path: str, command: list[str], out: int, err: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start in the namespace of this thread: cheaper than nsenter, and no copy of this process is made (vfork)."""
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        raise RuleError(f"{command[0]} is not installed: install iptables", command=command[0])
    with netns.entered(path):
        return subprocess.Popen(
            [program, *command[1:]], stdin=subprocess.PIPE, stdout=out, stderr=err, env={"PATH": _PATH}
        )


def _refusal(path: str, command: str, text: str, stderr: str) -> RuleError:
    """The error with the line that iptables names by its number."""
    found = _LINE.search(stderr)
    number = int(found[1]) if found else 0
    lines = text.splitlines()
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    where = f" at line {number}: {line!r}" if line else ""
    return RuleError(f"{command} in {path} refused the rules{where}: {stderr}", line=number, text=line, stderr=stderr)
