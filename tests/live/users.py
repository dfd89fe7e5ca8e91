"""Users less powerful than this one: the beginnings of command lines, and a Python that such a user can run."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from labs import ROOT

NOBODY = 65534
POWERLESS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *POWERLESS)
# Root of a container keeps CAP_SETFCAP: the kernel asks for it where a user namespace is to have its root.
IN_USER_NAMESPACE = ("unshare", "-Ur", "--", "setpriv", "--bounding-set=-all,+setfcap", "--no-new-privs")
NO_MORE = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
WITHOUT_NAMESPACES = ("unshare", "-Ur", "--", "sh", "-c", NO_MORE, "sh", "setpriv", *POWERLESS)
# setpriv itself still finds its way to a Python that its user cannot reach.
USABLE = "import os, sys, labkit, msgspec; sys.exit(not os.access(sys.executable, os.X_OK))"


def python_for(wrap: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """A Python that whoever `wrap` makes of us can run: this one, or the system's with this one's packages."""
    environment = {**os.environ, "HOME": "/", "MPLCONFIGDIR": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = next(p for p in sys.path if p.endswith("site-packages"))
    for python, path in ((sys.executable, str(ROOT)), (f"/usr/bin/{version}", f"{ROOT}:{packages}")):
        environment["PYTHONPATH"] = path
        command = [*wrap, python, "-W", "error"]
        tried = subprocess.run([*command, "-c", USABLE], env=environment, capture_output=True, cwd="/")
        if tried.returncode == 0:
            return command, environment
    pytest.skip("no Python here that a user without privileges can run")


def run(wrap: tuple[str, ...], code: str, uid: int) -> subprocess.CompletedProcess[str]:
    if not all(shutil.which(tool) for tool in ("setpriv", "unshare")):
        pytest.skip("setpriv and unshare (util-linux) are needed")
    command, environment = python_for(wrap)
    return subprocess.run(
        [*command, "-c", textwrap.dedent(code)],
        env={**environment, "EXPECTED_UID": str(uid)}, capture_output=True, text=True, cwd="/", timeout=100,
    )  # fmt: skip
