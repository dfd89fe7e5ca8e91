"""binder/Dockerfile's image as Binder runs it: user 1000, no capability, no_new_privs, Docker's seccomp profile.

Slow: the first time it builds the image, which takes two minutes; after that, seconds. `pytest -m binder`
"""

import json
import shlex
from pathlib import Path

import pytest
from image import Image

pytestmark = [pytest.mark.binder, pytest.mark.timeout(1800)]

NOTEBOOKS = sorted(path.stem for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
TOKEN = {"JUPYTER_TOKEN": "secret"}
# What a refused call answers (Docker: EPERM; clone3: ENOSYS), and what an allowed one does
CALLS = """
import ctypes, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    ctypes.set_errno(0)
    libc.syscall(*(ctypes.c_long(w) for w in (number, *words)))
    return os.strerror(ctypes.get_errno())
def vsock():
    try:
        socket.socket(40)
    except OSError as error:
        return error.strerror
print(json.dumps({
    "unshare": call(272, 0x10000000), "setns": call(308, 0, 0), "mount": call(165, 0, 0, 0, 0, 0),
    "clone": call(56, 0x10000000 | 17, 0, 0, 0, 0), "clone3": call(435, 0, 0), "keyctl": call(250, 0, 0),
    "bpf": call(321, 0, 0, 0), "personality": call(135, 0x40000), "vsock": vsock(),
    "same personality": call(135, 0xFFFFFFFF), "ptrace": call(101, 0, 0, 0, 0), "landlock": call(444, 0, 0, 1),
}))
"""


def said(image: Image, line: str) -> str:
    done = image.run("sh", "-c", line)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_the_user_is_who_binder_asks_for_and_owns_the_project(image: Image) -> None:
    assert said(image, "id -un; id -u; id -G; echo $HOME; pwd") == "learner\n1000\n1000\n/home/learner\n/home/learner\n"
    assert said(image, "find . ! -user learner; find /opt/labkit ! -user learner") == ""
    assert "00_start.ipynb" in said(image, "ls notebooks")
    assert said(image, "ls -d .git .venv 2>/dev/null || echo neither") == "neither\n"


def test_every_package_of_the_list_is_in_it_and_no_list_of_apts(image: Image) -> None:
    said(image, "dpkg-query -W $(sed 's/[#?].*//' binder/apt.txt) tini")
    assert said(image, "ls -A /var/lib/apt/lists; ls /var/cache/apt/archives | grep deb || true") == ""


@pytest.mark.parametrize("program", ["jupyter", "jupyter-lab", "jupyterhub-singleuser", "labkit"])
def test_a_program_that_binder_or_a_hub_starts_is_there(image: Image, program: str) -> None:
    assert said(image, f"command -v {program}") == f"/opt/labkit/bin/{program}\n"
    said(image, f"{program} --version")


def test_it_has_no_privilege(image: Image) -> None:
    status = dict(line.split(":\t") for line in said(image, "cat /proc/self/status").splitlines() if ":\t" in line)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_it_refuses_what_dockers_profile_refuses(image: Image) -> None:
    answers = json.loads(said(image, f"python -c {shlex.quote(CALLS)}"))
    allowed = {name for name, answer in answers.items() if answer == "Success"}
    assert allowed == {"same personality", "ptrace", "landlock"}
    assert answers.pop("clone3") == "Function not implemented"
    assert {answers[name] for name in answers.keys() - allowed} == {"Operation not permitted"}
    assert "Operation not permitted" in image.run("unshare", "-Ur", "true").stderr


def test_its_files_are_as_docker_shows_them(image: Image) -> None:
    mounts = {line.split()[1]: line.split()[3] for line in said(image, "cat /proc/self/mounts").splitlines()}
    assert "noexec" in mounts["/dev/shm"].split(",")
    assert mounts["/sys"].startswith("ro,")
    assert mounts["/proc/sys"].startswith("ro,")
    assert said(image, "df --output=size -m /dev/shm | tail -1").split() == ["64"]
    assert said(image, "cat /proc/net/dev | grep -c :") == "1\n", "lo alone"


STARTS = {
    "the image's own command": ("{command}", 9999, "/"),
    "as Binder starts it": (
        """python3 -c 'import os, sys, jupyterlab; os.execvp("jupyter-lab", sys.argv)' """
        "--ip=0.0.0.0 --port=8888 --ServerApp.base_url=/user/learner/",
        8888,
        "/user/learner/",
    ),
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_jupyterlab_opens_the_first_notebook(image: Image, start: tuple[str, int, str]) -> None:
    """The page that the badge leads to, the file that it shows, and the kernel that runs it."""
    command, port, base = start
    command = command.format(command=shlex.join(image.command))
    ask = f"curl -sf --retry 120 --retry-connrefused --retry-delay 1 http://127.0.0.1:{port}{base}"
    query = "?token=secret"
    line = (
        f"{command} >/tmp/log 2>&1 & {ask}api >/dev/null && {ask}lab/tree/notebooks/00_start.ipynb{query} >/dev/null "
        f"&& {ask}api/contents/notebooks/00_start.ipynb'{query}&content=0' && echo && {ask}api/kernelspecs{query} "
        "|| { cat /tmp/log; exit 1; }"
    )
    done = image.run("sh", "-c", line, env={**TOKEN, "PORT": "9999"})
    assert done.returncode == 0, done.stdout
    notebook, kernels = (json.loads(answer) for answer in done.stdout.splitlines())
    assert (notebook["name"], notebook["writable"]) == ("00_start.ipynb", True)
    assert kernels["default"] in kernels["kernelspecs"]


def test_a_lab_gets_a_kernel_of_its_own(image: Image) -> None:
    """User namespaces are refused here, and User-Mode Linux needs no privilege."""
    found = json.loads(said(image, "labkit doctor --json"))
    assert found["usable"]
    assert found["serving"] == ["uml"]
    assert found["machine"]["user_namespaces"] == "Operation not permitted"
    assert (found["machine"]["capabilities"], found["machine"]["bounds"]) == ([], ["no_new_privs", "seccomp"])
    assert {program["program"]["name"] for program in found["programs"] if not program["version"]} == set()


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_course_runs(image: Image, notebook: str) -> None:
    done = image.run("labkit", "check", f"notebooks/{notebook}.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_learner_fits_into_binders_memory(image: Image) -> None:
    """JupyterLab, a kernel and its lab: mybinder.org gives one GB at least."""
    measured = json.loads(said(image, "python tests/binder/measure.py 00_start"))["notebooks"]["00_start"]
    assert measured["all"] < 1000, measured


def test_a_container_leaves_nothing(image: Image) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    said(image, "touch /tmp/file ~/file; sleep 600 & mkdir /tmp/folder")
    assert Path("/proc/self/mountinfo").read_text() == before
    assert list(image.scratch.iterdir()) == []
    assert said(image, "ls -A /tmp; test ! -e ~/file") == ""
