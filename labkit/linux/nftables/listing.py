"""A table's rules by their handles, in the words of `nft -a list table`."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from typing import Literal

import msgspec

from labkit.linux import netns

_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_CHAIN = re.compile(r"\tchain (\S+) \{ # handle \d+")
_RULE = re.compile(r"\t\t(.+) # handle (\d+)")


class ListedChain(msgspec.Struct, frozen=True):
    """Texts of the rules by handle, in their order. `base`: packets come to it from a hook."""

    rules: Mapping[int, str]
    base: bool


def listed(path: str, family: Literal["ip", "ip6"], table: str) -> dict[str, ListedChain]:
    """The chains of a table in the namespace at `path`; none where there is no such table, or no `nft`."""
    program = shutil.which("nft", path=_PATH)
    if program is None:
        return {}
    command = [program, "-a", "list", "table", family, table]
    with netns.entered(path):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": _PATH})
    return parse(done.stdout) if not done.returncode else {}


def parse(text: str) -> dict[str, ListedChain]:
    """The chains in what nft printed."""
    found: dict[str, ListedChain] = {}
    rules: dict[int, str] = {}
    name, base = "", False
    for line in text.splitlines():
        if chain := _CHAIN.fullmatch(line):
            name, rules, base = chain[1], {}, False
        elif name and line.startswith("\t\ttype "):
            base = True
        elif name and (rule := _RULE.fullmatch(line)):
            rules[int(rule[2])] = rule[1]
        elif name and line == "\t}":
            found[name] = ListedChain(rules, base)
            name = ""
    return found
