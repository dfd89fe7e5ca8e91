"""Which kubectl is run, and what becomes of it."""

from pathlib import Path

import pytest

from labkit.errors import CommandError
from labkit.lab import kubectl


def program(path: Path, says: str) -> None:
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)


def test_the_newest_beside_a_dispatcher_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install, bin_ = tmp_path / "install", tmp_path / "bin"
    install.mkdir(), bin_.mkdir()
    for name in ("kubectl", "kubectl.1.9", "kubectl.1.33", "kubectl.old"):
        program(install / name, f'echo {name} "$@" "$KUBECONFIG"; echo oops >&2; cat; exit 3')
    (bin_ / "kubectl").symlink_to(install / "kubectl")
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    done = kubectl.run("kubectl get 'my pod'", Path("/conf"), "input", 10)
    assert (done.command, done.code) == ("kubectl get 'my pod'", 3)
    assert done.stdout == "kubectl.1.33 get my pod /conf\ninput"
    assert done.stderr == "oops\n"
    assert kubectl.run(["get"], Path("/conf"), "", 10).stdout == "kubectl.1.33 get /conf\n"


def test_a_plain_kubectl_is_run_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "kubectl", "sleep 60 & wait")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert kubectl.find() == str(tmp_path / "kubectl")
    with pytest.raises(CommandError, match="did not end within"):
        kubectl.run("get pods", Path("/conf"), "", 0.2)


def test_without_one_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match=r"install it .* or use k\.get"):
        kubectl.find()
