"""A minimal Debian as the official image `debian:…-slim` is, from this machine's own apt sources."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from cache import kept

INDEX = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)|$(CODENAME)"
# Source: debuerreotype, .slimify-excludes and .debian-image-setup-apt
UNWANTED = ("doc", "info", "lintian", "locale", "man")
SETTINGS = {
    "etc/dpkg/dpkg.cfg.d/docker": "".join(f"path-exclude /usr/share/{name}/*\n" for name in UNWANTED)
    + "force-unsafe-io\n",
    "etc/apt/apt.conf.d/docker-clean": 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb || true"; };\n',
    "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
}


def debian(tag: str, cache: Path) -> Path:
    """The folder of the release in `tag` ("debian:bookworm-20250520-slim"), in the cache by its name.

    Raises `LookupError` where this machine's sources have no such Debian.
    """
    name, _, version = tag.partition(":")
    release = version.split("-")[0]
    return kept(cache, f"{name}-{release}", lambda folder: _make(release, folder))


def _make(release: str, folder: Path) -> None:
    lines = sources(release)
    command = ["debootstrap", "--variant=minbase", release, str(folder), lines[0].split()[1]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"debootstrap ended with code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
    (folder / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in lines))
    for path, text in SETTINGS.items():
        (folder / path).write_text(text)
    (folder / "usr/sbin/policy-rc.d").chmod(0o755)
    for emptied in (*(folder / "usr/share" / kind for kind in UNWANTED), folder / "var/lib/apt/lists"):
        shutil.rmtree(emptied, ignore_errors=True)
        emptied.mkdir()


def sources(release: str) -> list[str]:
    """This machine's lines for a release of Debian, its updates and security, the release itself first."""
    ask = ["apt-get", "indextargets", "--format", INDEX, "Created-By: Packages"]
    listed = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    entries = {tuple(line.split("|")) for line in listed.splitlines()}
    found = [
        f"deb {uri} {suite} {part}"
        for uri, suite, part, who, _ in entries
        if who == "Debian" and suite.startswith(release)
    ]
    if not found:
        raise LookupError(f"the apt sources of this machine have no Debian {release}")
    return sorted(found, key=lambda line: line.split()[2])
