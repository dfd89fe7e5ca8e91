"""Who may start a lab: any user, with no privilege at all; and what a machine that forbids it is told."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from labs import BOOKINFO, ROOT, SHOP

NOBODY = 65534
POWERLESS = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *POWERLESS)
# Root of a container keeps CAP_SETFCAP: the kernel asks for it where a user namespace is to have its root.
IN_USER_NAMESPACE = ("unshare", "-Ur", "--", "setpriv", "--bounding-set=-all,+setfcap", "--no-new-privs")
NO_MORE = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"'
WITHOUT_NAMESPACES = ("unshare", "-Ur", "--", "sh", "-c", NO_MORE, "sh", "setpriv", *POWERLESS)

MAIN_JOB = f"""
import os
from pathlib import Path
from labkit import lab

with lab.start() as k:
    assert os.geteuid() == int(os.environ["EXPECTED_UID"])
    status = Path("/proc/self/status").read_text().splitlines()
    capabilities = next(line for line in status if line.startswith("CapBnd"))
    assert int(capabilities.split()[1], 16) in (0, 1 << 31), capabilities
    k.apply({str(SHOP)!r})
    if Path({str(BOOKINFO)!r}).exists():
        k.apply({str(BOOKINFO)!r})
    k.wait()
    client = k.pod("shop/client")
    for url in ("http://web", "http://api:8080", "http://web.shop.svc.cluster.local"):
        rows = client.get(url, n=20)
        assert set(rows["error"]) == {{""}}, rows
    assert client.run("curl -s http://web/hostname", check=True).stdout.startswith("web-")
    assert client.run("ping -c1 -W2 203.0.113.10").code == 0
    path = k.trace("client", "http://web", namespace="shop")
    assert path.outcome == "200" and path.lost == 0
    assert [r.action for r in path.rewrites] == ["DNAT", "SNAT"]
    assert any(r.chain.startswith("KUBE-SEP-") for r in path.rules)
    assert k.host("internet").run("id -u").stdout == "0\\n"
print("done")
"""
# setpriv itself still finds its way to a Python that its user cannot reach.
USABLE = "import os, sys, labkit, msgspec; sys.exit(not os.access(sys.executable, os.X_OK))"
START = "from labkit import lab\nlab.start(nodes=1).close()\nprint('done')"


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_without_any_privilege_has_the_whole_lab() -> None:
    done = run(AS_NOBODY, MAIN_JOB, NOBODY)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


def test_root_without_power_has_the_whole_lab() -> None:
    """As in a container."""
    done = run(IN_USER_NAMESPACE, MAIN_JOB, 0)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.sandbox("uml")
def test_where_user_namespaces_are_forbidden_a_kernel_of_its_own_has_the_whole_lab() -> None:
    done = run(WITHOUT_NAMESPACES, MAIN_JOB, 0)
    assert (done.stdout, done.stderr, done.returncode) == ("done\n", "", 0)


@pytest.mark.sandbox("uml")
def test_a_lab_that_may_choose_takes_what_works_and_says_why() -> None:
    code = "from labkit import lab\nwith lab.start(nodes=1, sandbox='auto') as k: print(k.sandbox)"
    done = run(WITHOUT_NAMESPACES, code, 0)
    assert (done.stdout, done.stderr) == ("User-Mode Linux, because this machine allows no user namespaces\n", "")
    done = run((), code, os.geteuid())
    assert (done.stdout, done.stderr) == ("Linux namespaces, which this machine allows\n", "")


@pytest.mark.sandbox("namespaces")
def test_a_machine_without_user_namespaces_is_told_what_to_do() -> None:
    done = run(WITHOUT_NAMESPACES, START, 0)
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith("labkit.errors.NoSandbox: this machine does not let you make user namespaces")
    assert "sudo sysctl -w" in error
    assert "user.max_user_namespaces" in error
    assert "start the notebook as root" in error


@pytest.mark.sandbox("namespaces")
def test_the_doctor_says_so_too() -> None:
    done = run(WITHOUT_NAMESPACES, "import sys\nfrom labkit.cli import main\nsys.exit(main(['doctor']))", 0)
    assert done.returncode == 1
    assert "sandbox: none works" in done.stdout
    assert "sudo sysctl -w" in done.stdout
    assert done.stderr == ""
