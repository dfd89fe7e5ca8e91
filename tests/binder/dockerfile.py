"""A Dockerfile, read: its instructions, and the variables in them. As many instructions as binder/Dockerfile uses.

Source: docs.docker.com, "Dockerfile reference".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

KNOWN = ("FROM", "ARG", "ENV", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")
_PAIR = re.compile(r"(\w+)=(\S*)\s*")


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    text: str


def parse(text: str) -> list[Instruction]:
    """Every instruction in order. Raises `ValueError`, which names the line, for one that is not among KNOWN."""
    found: list[Instruction] = []
    begun = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):  # also between continued lines
            continue
        begun += line.strip()
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        name, _, rest = begun.partition(" ")
        if name not in KNOWN:
            raise ValueError(f"line {number}: {name} is not one of {', '.join(KNOWN)}")
        found.append(Instruction(name, rest.strip()))
        begun = ""
    if begun:
        raise ValueError(f"the last line ends with a backslash: {begun}")
    return found


def expand(text: str, variables: Mapping[str, str]) -> str:
    """$NAME, ${NAME} and ${NAME:-default} replaced; an unknown name by nothing."""
    return _VARIABLE.sub(lambda m: variables.get(m[1] or m[2]) or m[3] or "", text)


def pairs(text: str) -> dict[str, str]:
    """The NAME=value pairs of an ENV, in which no value has a space. Raises `ValueError` for anything else."""
    if _PAIR.sub("", text):
        raise ValueError(f"ENV takes NAME=value pairs without spaces: {text}")
    return dict(_PAIR.findall(text))


def command(text: str) -> tuple[str, ...]:
    """The words of RUN, CMD or ENTRYPOINT: those of the JSON form, or the shell with the line."""
    return tuple(json.loads(text)) if text.startswith("[") else ("/bin/sh", "-c", text)
