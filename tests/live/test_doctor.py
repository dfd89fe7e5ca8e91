"""`labkit doctor` as root, as a plain user, where user namespaces are refused, and where no lab can run at all.

The kernels' own configurations say what it should have found.
"""

import gzip
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from users import AS_NOBODY, NOBODY, WITHOUT_NAMESPACES, run

from labkit.linux.features import FEATURES

pytestmark = pytest.mark.sandbox("namespaces")  # once: the doctor looks into both by itself
DOCTOR = "import os, sys\nfrom labkit.cli import main\n{first}\nsys.exit(main({words}))"
UML = shutil.which("linux.uml")
CONFIGURED = {
    "veth": "VETH", "bridge": "BRIDGE", "vxlan": "VXLAN", "macvlan": "MACVLAN", "wireguard": "WIREGUARD",
    "openvswitch": "OPENVSWITCH", "nftables": "NF_TABLES_INET", "ipset": "IP_SET", "ipvs": "IP_VS", "sctp": "IP_SCTP",
    "htb": "NET_SCH_HTB", "tbf": "NET_SCH_TBF", "netem": "NET_SCH_NETEM",
}  # fmt: skip


def doctor(wrap: tuple[str, ...], *words: str, uid: int, first: str = "") -> subprocess.CompletedProcess[str]:
    return run(wrap, DOCTOR.format(words=["doctor", *words], first=first), uid)


def found(wrap: tuple[str, ...] = (), uid: int = 0) -> dict[str, Any]:
    done = doctor(wrap, "--json", uid=uid)
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    assert [part["feature"]["name"] for part in report["parts"]] == [feature.name for feature in FEATURES]
    return report


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """What it finds as whoever runs the tests."""
    return found()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is root")
def test_root(report: dict[str, Any]) -> None:
    assert report["machine"]["user"] == 0
    assert "sys_admin" in report["machine"]["capabilities"]
    assert report["sandboxes"]["namespaces"] == ""
    assert report["serving"][0] == "namespaces"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_plain_user() -> None:
    report = found(AS_NOBODY, NOBODY)
    assert report["machine"]["user"] == NOBODY
    assert report["machine"]["capabilities"] == []
    assert report["machine"]["user_namespaces"] == ""
    assert report["serving"][0] == "namespaces"


@pytest.mark.skipif(
    not UML, reason="without user namespaces a lab needs user-mode-linux, and this distribution has none"
)
def test_where_user_namespaces_are_refused() -> None:
    report = found(WITHOUT_NAMESPACES)
    assert report["machine"]["user_namespaces"] == "user.max_user_namespaces allows no more"
    assert report["sandboxes"]["namespaces"].startswith("this machine does not let you make user namespaces")
    assert report["sandboxes"]["uml"] == ""
    assert report["serving"] == ["uml"]
    assert all(set(part["missing"]) <= {"uml"} for part in report["parts"])


def test_where_no_lab_can_run() -> None:
    done = doctor(WITHOUT_NAMESPACES, uid=0, first="os.environ['PATH'] = ''")  # in which there is no linux.uml
    assert (done.returncode, done.stderr) == (1, "")
    assert "No lab can run here." in done.stdout
    assert "sudo sysctl -w" in done.stdout
    assert "sudo apt-get install user-mode-linux" in done.stdout


def test_it_finds_what_the_kernels_were_built_with(report: dict[str, Any]) -> None:
    for kind in report["serving"]:
        missing = {part["feature"]["name"] for part in report["parts"] if kind in part["missing"]}
        options = configuration(kind)
        for name, option in CONFIGURED.items():
            state = options.get(option, "n")
            if state != "m" or kind == "uml":  # a module of the machine's own may be away or blocked
                assert (name in missing) == (state == "n"), (kind, name, option, state)


def configuration(kind: str) -> dict[str, str]:
    """Options of the kernel that a lab gets in this kind of sandbox: without CONFIG_, y or m."""
    if kind == "uml":
        assert UML
        text = subprocess.run([UML, "--showconfig"], capture_output=True, text=True, check=True).stdout
    elif (own := Path("/proc/config.gz")).exists():
        text = gzip.decompress(own.read_bytes()).decode()
    elif (boot := Path(f"/boot/config-{platform.release()}")).exists():
        text = boot.read_text()
    else:
        pytest.skip("this kernel does not say how it was built")
    pairs = (line.removeprefix("CONFIG_").split("=", 1) for line in text.splitlines() if line.startswith("CONFIG_"))
    return dict(pairs)


def test_its_text_has_every_section() -> None:
    done = subprocess.run([sys.executable, "-m", "labkit.cli", "doctor"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for line in ("user namespaces ", "ptrace ", "Landlock ", "memory ", "sandbox namespaces", "veth ", "iptables "):
        assert f"\n{line}" in done.stdout
