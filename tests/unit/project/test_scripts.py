"""The two commands: what they ask of a machine, what they say, and that a second start does nothing.

The scripts run in a copy of the project's folder; `dpkg-query`, `id`, `sudo`, `apt-get` and `python3` are small
programs in a folder of their own, which PATH begins with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = ("binder/lab", "binder/badge", "binder/setup.sh", "tests/run", ".ci/run")

# Says that it will do; making an environment and installing into it is only written down
PYTHON = """
case $1 in
    -c) case $2 in *ensurepip*) echo "$0" ;; esac ;;
    -m) echo "$@" >>"$LOG"
        if [ "$2" = venv ]; then mkdir -p .venv/bin; cp "$0" .venv/bin/python; fi ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A copy of the project and the programs that its scripts find first."""

    project: Path
    programs: Path

    def has(self, name: str, script: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def lacks(self, *packages: str) -> None:
        """Debian's packages are installed, but for these."""
        self.has("dpkg-query", f'case " {" ".join(packages)} " in *" $4 "*) exit 1 ;; esac; printf installed')

    def run(self, *command: str, folder: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.programs), "LOG": str(self.log)}
        return subprocess.run(
            command,
            cwd=folder or self.project,
            env={**own, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def set_up(self) -> list[str]:
        """Run the set-up; what it did, line by line."""
        self.log.unlink(missing_ok=True)
        done = self.run("bash", "-c", "set -euo pipefail; . binder/setup.sh; setup binder/requirements.txt")
        assert done.returncode == 0, done.stderr
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def log(self) -> Path:
        return self.programs / "log"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An ordinary user on Debian, all packages there, no sudo; a space in the folder's name."""
    project, programs = tmp_path / "my lab", tmp_path / "programs"
    programs.mkdir()
    for name in ("binder", "tests/run", "tests/requirements.txt", "tests/apt.txt", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, project / name)
    machine = Machine(project, programs)
    machine.lacks()
    machine.has("id", "echo 1000")
    machine.has("sudo", "exit 1")
    machine.has("python3", PYTHON)
    for name in ("python3.11", "python3.12", "python3.13"):
        machine.has(name, "exit 1")
    return machine


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_shell_reads_it(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / script], check=True)


@pytest.mark.parametrize("script", [s for s in SCRIPTS if not s.endswith(".sh")])
def test_it_can_be_executed(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_help_works_from_any_folder(machine: Machine, tmp_path: Path) -> None:
    elsewhere = machine.run("my lab/binder/lab", "--help", folder=tmp_path, CDPATH="/")
    beside = machine.run("./lab", "-h", folder=machine.project / "binder")
    assert elsewhere.returncode == beside.returncode == 0
    assert elsewhere.stdout == beside.stdout
    for option in ("--no-browser", "--port N", "--ip ADDRESS", "--check"):
        assert option in elsewhere.stdout


@pytest.mark.parametrize("wrong", [["--colour"], ["notebooks/00_start.ipynb"], ["--port"], ["--no-browser", "--ip"]])
def test_a_wrong_call_is_told(machine: Machine, wrong: list[str]) -> None:
    done = machine.run("binder/lab", *wrong)
    assert done.returncode == 2
    assert wrong[-1] in done.stderr
    assert "--help" in done.stderr
    assert not machine.log.exists()


@pytest.mark.parametrize("command", ["binder/lab", "tests/run"])
def test_without_root_it_says_the_line_to_run(machine: Machine, command: str) -> None:
    machine.lacks("mininet", "tcpdump")
    done = machine.run(command)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "apt-get install" in line]
    assert line.startswith("    sudo apt-get ")
    assert line.endswith("apt-get install -y --no-install-recommends mininet tcpdump")
    assert done.stdout == "", "nothing is tried"
    assert not machine.log.exists()


@pytest.mark.parametrize(("user", "prefix"), [("0", ""), ("1000", "sudo ")])
def test_root_or_sudo_installs_what_is_missing(machine: Machine, user: str, prefix: str) -> None:
    machine.lacks("mininet", "tcpdump")
    machine.has("id", f"echo {user}")
    machine.has("sudo", '[ "$1" != -n ] || exit 0; printf "sudo " >>"$LOG"; "$@"')
    machine.has("apt-get", 'echo "apt-get $*" >>"$LOG"')
    update, install = machine.set_up()[:2]
    assert update.startswith(f"{prefix}apt-get update")
    assert install.startswith(f"{prefix}apt-get install")
    assert install.endswith(" mininet tcpdump")


@pytest.mark.parametrize(("known", "wanted"), [("exit 0", " mininet user-mode-linux"), ("exit 100", " mininet")])
def test_an_optional_package_is_installed_where_the_distribution_has_it(
    machine: Machine, known: str, wanted: str
) -> None:
    machine.lacks("mininet", "user-mode-linux")
    machine.has("id", "echo 0")
    machine.has("apt-cache", known)
    machine.has("apt-get", 'echo "apt-get $*" >>"$LOG"')
    assert machine.set_up()[1].endswith(wanted)


@pytest.mark.parametrize(("user", "known"), [("1000", "exit 0"), ("0", "exit 100")])
def test_for_an_optional_package_alone_nobody_is_asked(machine: Machine, user: str, known: str) -> None:
    machine.set_up()
    machine.lacks("user-mode-linux")
    machine.has("id", f"echo {user}")
    machine.has("apt-cache", known)
    assert machine.set_up() == []


def test_all_tests_ask_for_more_packages(machine: Machine) -> None:
    machine.lacks("debootstrap")
    done = machine.run("tests/run", "--all")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("apt-get install -y --no-install-recommends debootstrap")
    machine.has("pytest", "exit 0")
    assert machine.run("tests/run", "tests/unit").returncode == 0


def test_a_failed_installation_ends_with_the_line_to_run(machine: Machine) -> None:
    machine.lacks("mininet")
    machine.has("id", "echo 0")
    machine.has("apt-get", 'echo "E: Unable to locate package mininet" >&2; exit 100')
    done = machine.run("binder/lab")
    assert done.returncode == 1
    assert "apt-get install -y --no-install-recommends mininet" in done.stderr
    assert "universe" in done.stderr


def test_without_a_usable_python_its_package_is_asked_for(machine: Machine) -> None:
    machine.has("python3", "exit 0")  # says nothing: too old
    machine.lacks("python3-venv", "python3.11-venv")
    done = machine.run("binder/lab")
    assert done.returncode == 1
    assert "-venv\n" in done.stderr


def test_elsewhere_it_points_to_conda(machine: Machine) -> None:
    machine.has("env", "")
    (machine.programs / "dpkg-query").unlink()
    bash = shutil.which("bash")
    assert bash
    done = machine.run(bash, "-c", f"PATH={machine.programs}; . binder/setup.sh; setup binder/requirements.txt")
    assert done.returncode == 1
    assert "conda env create" in done.stderr


def test_a_second_start_installs_nothing(machine: Machine) -> None:
    first = machine.set_up()
    assert [line.split()[1] for line in first] == ["venv", "pip", "pip", "pip", "compileall"]
    assert machine.set_up() == []


def test_a_new_lock_is_installed_into_the_same_environment(machine: Machine) -> None:
    machine.set_up()
    with (machine.project / "binder/requirements.txt").open("a") as lock:
        lock.write("# newer\n")
    assert [line.split()[1] for line in machine.set_up()] == ["pip", "pip", "pip", "compileall"]
    assert machine.set_up() == []


def test_after_an_interruption_all_is_made_anew(machine: Machine) -> None:
    machine.set_up()
    (machine.project / ".venv/place").unlink()
    assert machine.set_up()[0] == "-m venv --clear .venv"


def test_an_interrupted_installation_is_not_taken_for_a_whole_one(machine: Machine) -> None:
    machine.set_up()
    with (machine.project / "binder/requirements.txt").open("a") as lock:
        lock.write("# newer\n")
    python = machine.project / ".venv/bin/python"
    python.write_text("#!/bin/bash\n" + PYTHON + '[ "$2" != pip ] || exit 1')
    assert machine.run("binder/lab").returncode == 1
    assert machine.set_up()[0] == "-m venv --clear .venv"


def test_a_path_of_the_users_does_not_lead_to_other_packages(machine: Machine) -> None:
    machine.has("python3", f'[ -z "${{PYTHONPATH:-}}" ] || exit 1\n{PYTHON}')
    done = machine.run("bash", "-c", ". binder/setup.sh; setup binder/requirements.txt", PYTHONPATH="/opt/ros")
    assert done.returncode == 0


def test_a_moved_folder_gets_a_new_environment(machine: Machine) -> None:
    machine.set_up()
    moved = Machine(machine.project.rename(machine.project.with_name("elsewhere")), machine.programs)
    assert moved.set_up()[0] == "-m venv --clear .venv"


def test_a_python_that_is_gone_gets_a_new_environment(machine: Machine) -> None:
    machine.set_up()
    (machine.project / ".venv/bin/python").unlink()
    assert machine.set_up()[0] == "-m venv --clear .venv"


def test_both_commands_share_the_environment(machine: Machine) -> None:
    machine.set_up()
    again = "set -euo pipefail; . binder/setup.sh; setup tests/requirements.txt"
    assert machine.run("bash", "-c", again).returncode == 0
    assert machine.set_up() == []


@pytest.mark.parametrize(
    "origin", ["https://github.com/ann/labs", "https://github.com/ann/labs.git", "git@github.com:ann/labs.git"]
)
def test_the_badge_opens_the_first_notebook_of_ones_own_fork(machine: Machine, origin: str) -> None:
    machine.has("git", f'[ "$*" = "remote get-url origin" ] && echo {origin}')
    done = machine.run("binder/badge")
    target = "https://mybinder.org/v2/gh/ann/labs/HEAD?urlpath=lab/tree/notebooks/00_start.ipynb"
    assert done.stdout == f"[![launch on Binder](https://mybinder.org/badge_logo.svg)]({target})\n"


@pytest.mark.parametrize(("git", "told"), [("exit 2", "no remote named origin"), ("echo /srv/labs", "not on GitHub")])
def test_a_clone_that_binder_cannot_reach_is_told(machine: Machine, git: str, told: str) -> None:
    machine.has("git", git)
    done = machine.run("binder/badge")
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
