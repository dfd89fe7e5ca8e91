"""The reader of the Dockerfile: what it understands, and that it says what it does not."""

import pytest
from dockerfile import Instruction, command, expand, pairs, parse


def test_lines_are_joined_and_comments_dropped() -> None:
    text = '# a picture\nFROM debian:x\n\nRUN a \\\n    # why\n    && b\nCMD ["c"]\n'
    assert parse(text) == [
        Instruction("FROM", "debian:x"),
        Instruction("RUN", "a && b"),
        Instruction("CMD", '["c"]'),
    ]


@pytest.mark.parametrize(
    ("text", "told"), [("FROM a\nHEALTHCHECK b", "line 2: HEALTHCHECK"), ("RUN a \\", "backslash")]
)
def test_what_it_does_not_know_is_an_error(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("$A/b", "1/b"), ("${A}b", "1b"), ("${B:-2}", "2"), ("${A:-2}", "1"), ("$B", ""), ("a$", "a$")],
)
def test_variables(text: str, value: str) -> None:
    assert expand(text, {"A": "1"}) == value


def test_env_is_pairs() -> None:
    assert pairs("A=1     B=/x:y") == {"A": "1", "B": "/x:y"}
    with pytest.raises(ValueError, match="pairs"):
        pairs("A 1")


def test_a_command_is_json_or_a_line_for_the_shell() -> None:
    assert command('["tini", "--"]') == ("tini", "--")
    assert command("echo a") == ("/bin/sh", "-c", "echo a")
