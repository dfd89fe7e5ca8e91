"""What of User-Mode Linux can be looked at without starting it."""

from pathlib import Path

import pytest

from labkit.errors import NoSandbox
from labkit.sandbox import remedies, seccomp, uml
from labkit.sandbox.modules import Modules


@pytest.mark.parametrize(
    ("console", "word"),
    [
        ("ptrace: Operation not permitted\ncheck_ptrace : expected SIGSTOP, got status = 9", "ptrace_scope"),
        ("Bus error - the host /dev/shm or /tmp mount likely just ran out of space\nKernel panic", "TMPDIR"),
        (
            "setup_physmem - mapping 518733824 bytes at 0x(____ptrval____) failed - errno = -12",
            "end other labs",
        ),
        ("Kernel panic - not syncing: System is deadlocked on memory\nOut of memory and no killable", "end other labs"),
        ("nothing that anybody knows", "nothing that anybody knows"),
    ],
)
def test_what_the_kernel_says_becomes_a_remedy(console: str, word: str) -> None:
    assert word in remedies.not_started(console, 1)
    assert word in remedies.died(console, -6)


def test_a_kernel_that_was_killed_may_have_been_too_large() -> None:
    assert "ran out of memory" in remedies.died("", -9)


def test_memory_goes_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert uml._scratch(1 << 20) == str(tmp_path)
    monkeypatch.setattr(uml, "SCRATCH", (str(tmp_path / "missing"),))
    with pytest.raises(NoSandbox, match=r"has \d+ MB left.*missing is not writable"):
        uml._scratch(1 << 60)
    spaced = tmp_path / "a b"
    spaced.mkdir()
    monkeypatch.setenv("TMPDIR", str(spaced))
    with pytest.raises(NoSandbox, match="has a space in its name"):
        uml._scratch(1 << 20)


def test_the_kernel_s_command_line_keeps_words_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/home/a learner/bin/python")
    monkeypatch.setenv("PYTHONPATH", "/home/a learner/lib")
    words = uml._arguments("module:main", "", "/tmp/x", 300, 7, 8)
    assert words[0] == "mem=300M"
    assert {"ssl0=fd:7", "ssl1=null,fd:8", '"PYTHONPATH=/home/a learner/lib"'} <= set(words)
    end = words.index("--")
    assert words[end - 1] == '"init=/home/a learner/bin/python"'
    assert words[end + 1 :] == ["-P", "-m", "labkit.sandbox.guest", "module:main", uml.NONE]
    monkeypatch.setattr("sys.executable", '/home/"x"/python')
    with pytest.raises(NoSandbox, match="quotation mark"):
        uml._arguments("module:main", "", "/tmp/x", 300, 7, 8)


def test_modules_are_loaded_after_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules.dep").write_text("k/x-nat.ko: k/nat.ko k/track.ko\nk/track.ko:\nk/nat.ko: k/track.ko\n")
    loaded: list[str] = []
    monkeypatch.setattr("labkit.sandbox.modules._finit", lambda file: loaded.append(file.name))
    modules = Modules(tmp_path)
    modules.load(["x_nat", "built_in"])
    modules.load(["nat", "x_nat"])
    assert loaded == ["track.ko", "nat.ko", "x-nat.ko"]


def test_the_filter_refuses_by_number_and_lets_the_memory_file_s_mode_pass() -> None:
    program = [seccomp._Instruction.unpack_from(seccomp._program(), at) for at in range(0, len(seccomp._program()), 8)]

    def verdict(number: int, second: int) -> int:
        at, accumulator = 0, 0
        while True:
            code, yes, no, value = program[at]
            at += 1
            if code == seccomp._LOAD:
                accumulator = {0: number, 24: second}[value]
            elif code == seccomp._JUMP_IF_EQUAL:
                at += yes if accumulator == value else no
            else:
                return int(value)

    allowed = seccomp._ALLOW
    assert all(verdict(number, 0o777) != allowed for number in seccomp.REFUSED.values())
    assert verdict(seccomp.FCHMOD, 0o777) == allowed
    assert verdict(seccomp.FCHMOD, 0o100777) != allowed
    assert verdict(0, 0) == verdict(2, 0o777) == allowed
