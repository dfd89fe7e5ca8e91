"""iptables in a network namespace: which of its two variants works, restore, save.

`restore` and `save` run in the calling thread; `apply` is for an asyncio loop. The rules' text is made elsewhere.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

from labkit.errors import RuleError
from labkit.linux import netns
from labkit.net.rules import Family

BIN = Path("/run/labkit/bin")
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_LINE = re.compile(r"line:? (\d+)")
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


def restore(path: str, text: str, variant: Variant, family: Family = "IPv4") -> None:
    """Feed `text` to iptables-restore in the namespace at `path`, keeping rules that it does not mention.

    Each `*table … COMMIT` of it takes effect as a whole or not at all. Raises `RuleError` with the refused line.
    """
    command = [variant.command("restore", family), "--noflush", "--wait"]
    result = _run(path, command, text)
    if result.returncode:
        raise _refusal(path, command[0], text, result.stderr.strip())


def save(path: str, variant: Variant, table: str = "", family: Family = "IPv4") -> str:
    """What iptables-save prints for one table, or for all. Raises `RuleError` where it fails."""
    command = [variant.command("save", family), *(["-t", table] if table else [])]
    result = _run(path, command, "")
    if result.returncode:
        raise RuleError(f"{command[0]} in {path} failed: {result.stderr.strip()}")
    return result.stdout


async def apply(path: str, text: str, variant: Variant, family: Family = "IPv4") -> None:
    """`restore` in a thread of its own, so that several nodes are served side by side. Empty text starts nothing."""
    if text:
        await asyncio.to_thread(restore, path, text, variant, family)


def _run(path: str, command: list[str], text: str) -> subprocess.CompletedProcess[str]:
    """Start in the namespace of this thread: cheaper than nsenter, and no copy of this process is made (vfork)."""
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        raise RuleError(f"{command[0]} is not installed: install iptables", command=command[0])
    with netns.entered(path):
        return subprocess.run(
            [program, *command[1:]], input=text, capture_output=True, text=True, check=False, env={"PATH": _PATH}
        )


def _refusal(path: str, command: str, text: str, stderr: str) -> RuleError:
    """The error with the line that iptables names by its number."""
    found = _LINE.search(stderr)
    number = int(found[1]) if found else 0
    lines = text.splitlines()
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    where = f" at line {number}: {line!r}" if line else ""
    return RuleError(f"{command} in {path} refused the rules{where}: {stderr}", line=number, text=line, stderr=stderr)
