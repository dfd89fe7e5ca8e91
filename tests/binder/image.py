"""An image built as binder/Dockerfile says, without a container engine: its steps in a debootstrap root.

    debian-bookworm      what FROM names: a minimal Debian from this machine's own apt sources     } in the cache
    <hash>               the steps before the project's files are copied                          }
    a temporary folder   the rest: seconds

The hash is of all that those steps read, so that the cache is never out of date. Source: docs.docker.com, "Dockerfile
reference".
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cache import kept
from debian_root import debian
from dockerfile import Instruction, command, expand, pairs, parse

ROOT = Path(__file__).parents[2]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WAYS = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True)
class Image:
    """Folders that make up its root, the lowest first, and what a container of it starts with."""

    scratch: Path
    layers: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": PATH})
    arguments: Mapping[str, str] = field(default_factory=dict)
    user: str = "root"
    workdir: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def run(
        self, *argv: str, env: Mapping[str, str] | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a command (none: CMD) in a fresh container, as Docker would run it without any capability."""
        done = self._container(
            [*self.entrypoint, *(argv or self.command)], {**self.env, **(env or {})}, seconds=seconds
        )
        return subprocess.CompletedProcess(argv, done.returncode, done.stdout.decode(), done.stderr.decode())

    def _container(
        self, argv: list[str], env: Mapping[str, str], *, seconds: float, stdin: bytes = b"", **more: object
    ) -> subprocess.CompletedProcess[bytes]:
        what = {"layers": [str(layer) for layer in self.layers], "scratch": str(self.scratch), "argv": argv, "env": env}
        place = {"user": self.user, "workdir": self.workdir}
        program = [
            "/usr/bin/python3",
            str(Path(__file__).with_name("container.py")),
            json.dumps({**what, **place, **more}),
        ]
        own = {"PATH": PATH, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(program, env=own, input=stdin, capture_output=True, timeout=seconds)

    def after(self, step: Instruction, given: Mapping[str, str]) -> Image:
        """The image with what a step changes of its settings."""
        text = expand(step.text, self.variables)
        match step.name:
            case "ARG":
                name, _, default = text.partition("=")
                return replace(self, arguments={**self.arguments, name: given.get(name, default)})
            case "ENV":
                return replace(self, env={**self.env, **pairs(text)})
            case "USER":
                return replace(self, user=text)
            case "WORKDIR":
                return replace(self, workdir=text)
            case "ENTRYPOINT":
                return replace(self, entrypoint=command(step.text))
            case "CMD":
                return replace(self, command=command(step.text))
        return self

    def act(self, step: Instruction, upper: Path) -> None:
        """What a step changes in the image's files: into the folder `upper`. Raises `RuntimeError` where it fails."""
        if step.name == "RUN":
            ways, binds = way_out()
            env = {**self.env, **self.arguments, **ways}
            done = self._container(
                list(command(step.text)), env, seconds=1800, upper=str(upper), build=True, binds=binds
            )
        elif step.name == "COPY":
            archive, argv = packed(expand(step.text, self.variables)), ["tar", "-xp", "--numeric-owner", "-C", "/"]
            done = self._container(
                argv, self.env, seconds=60, stdin=archive, upper=str(upper), build=True, user="root", workdir="/"
            )
        else:
            return
        if done.returncode:
            said = (done.stdout + done.stderr).decode()[-4000:]
            raise RuntimeError(f"{step.name} {step.text}\nended with code {done.returncode}:\n{said}")

    @property
    def variables(self) -> dict[str, str]:
        return {**self.arguments, **self.env}


def build(given: Mapping[str, str], cache: Path, temporary: Path) -> Image:
    """The image of binder/Dockerfile for the build arguments `given`.

    cache      holds what a later build can use again, temporary what it cannot
    """
    start, *steps = parse((ROOT / "binder/Dockerfile").read_text())
    moving = next(i for i, step in enumerate(steps) if "." in sources(step))
    first, rest = steps[:moving], steps[moving:]
    scratch, project = temporary / "scratch", temporary / "project"
    scratch.mkdir()
    image = Image(scratch, (debian(start.text, cache),))
    packages = kept(cache, key([start, *first], given), lambda upper: follow(image, first, given, upper))
    finished = follow(replace(follow(image, first, given), layers=(*image.layers, packages)), rest, given, project)
    return replace(finished, layers=(*finished.layers, project))


def follow(image: Image, steps: Sequence[Instruction], given: Mapping[str, str], upper: Path | None = None) -> Image:
    """The image after the steps; what they change in its files goes to `upper`, where there is one."""
    for step in steps:
        if upper:
            image.act(step, upper)
        image = image.after(step, given)
    return image


def key(steps: Sequence[Instruction], given: Mapping[str, str]) -> str:
    """A name for what the steps make: the same for the same steps, arguments and copied files."""
    read = hashlib.sha256(repr((steps, sorted(given.items()))).encode())
    for source in (source for step in steps for source in sources(step)):
        read.update((ROOT / source).read_bytes())
    return read.hexdigest()[:16]


def sources(step: Instruction) -> list[str]:
    """The files that a COPY copies."""
    return [word for word in step.text.split()[:-1] if not word.startswith("--")] if step.name == "COPY" else []


def packed(text: str) -> bytes:
    """A COPY's files as an archive, with the owner that it wants: of the project what git tracks or would track."""
    *words, target = text.split()
    owner = next((word.removeprefix("--chown=") for word in words if word.startswith("--")), "0:0")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in files([word for word in words if not word.startswith("--")]):
            entry = tar.gettarinfo(ROOT / path, f"{target}/{path if '.' in words else path.name}")
            entry.uid, entry.gid = (int(number) for number in owner.split(":"))
            if entry.isdir():
                tar.addfile(entry)
            else:
                with (ROOT / path).open("rb") as content:
                    tar.addfile(entry, content)
    return archive.getvalue()


def files(words: list[str]) -> Iterator[Path]:
    """Files of the project, relative to it, and each folder before what is in it."""
    ask = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard", "-z", *words]
    listed = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = sorted(path for path in map(Path, listed.split("\0")) if (ROOT / path).is_file())
    folders = {parent for path in found for parent in path.parents} - {Path()}
    yield from sorted(folders) if "." in words else ()
    yield from found


def way_out() -> tuple[dict[str, str], dict[str, str]]:
    """How this machine reaches a package index: pip's settings, proxies, certificates; and the files that they name.

    Those are shown elsewhere than they are: the image has files of its own there.
    """
    settings = {name: value for name, value in os.environ.items() if name.upper().startswith(WAYS)}
    binds = {"/etc/resolv.conf": "/etc/resolv.conf"}
    for name, value in settings.items():
        if Path(value).is_file():
            settings[name] = f"/run/machine/{name}"
            binds[settings[name]] = value
    return settings, binds
