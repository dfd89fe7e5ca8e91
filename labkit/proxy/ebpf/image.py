"""The C source of this folder as an eBPF object file of each family: made by clang at first use, kept in the user's
cache.

Where the cache cannot be written, as inside a lab, the object is used as it is; where nothing is in it, it is made.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

from labkit.errors import LabError, MissingFeature
from labkit.net.rules import Family

PACKAGES = "clang libbpf-dev"
_SOURCES = Path(__file__).parent
_MAIN = _SOURCES / "proxy.c"
# v2: all that the programs need; with v3, Linux before 5.12 would refuse some of what clang makes.
_FLAGS = ("-O2", "-g", "-Wall", "-Wextra", "-Werror", "-target", "bpf", "-mcpu=v2")


def image(family: Family = "IPv4") -> bytes:
    """The object file. Raises `MissingFeature` without clang or the headers, `LabError` where it does not compile."""
    asked = command(family)
    kept = _cache() / f"proxy-{family}-{_version(asked)}.o"
    with suppress(OSError):
        return kept.read_bytes()
    made = _compile(asked)
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        new.write_bytes(made)
        new.rename(kept)
    return made


def command(family: Family) -> list[str]:
    """What compiles the source, to its standard output."""
    headers = f"/usr/include/{platform.machine()}-linux-gnu"
    return ["clang", *_FLAGS, f"-DFAMILY={family[-1]}", f"-I{headers}", "-c", str(_MAIN), "-o", "-"]


def _compile(asked: list[str]) -> bytes:
    try:
        done = subprocess.run(asked, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise _missing("clang", "clang is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"clang could not be run: {error}") from error
    said = done.stderr.decode(errors="replace")
    if done.returncode and "file not found" in said:
        raise _missing("headers", said.splitlines()[0])
    if done.returncode:
        raise LabError(f"clang does not compile {_MAIN.name}:\n{said}")
    return done.stdout


def _missing(name: str, reason: str) -> MissingFeature:
    return MissingFeature(
        f"the ebpf mode compiles its programs: {reason}; sudo apt-get install {PACKAGES}", missing={name: reason}
    )


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "labkit"


def _version(asked: list[str]) -> str:
    """Of all that the object is made from."""
    digest = hashlib.sha256(" ".join(asked[1:-4]).encode())
    for source in sorted(_SOURCES.glob("*.[ch]")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]
