"""Names and uids: the same in every run, whatever else is drawn."""

from __future__ import annotations

import re
import uuid

from labkit.control.chance import ALPHABET, Chance


def test_draws_do_not_depend_on_other_draws():
    one, two = Chance(1), Chance(1)
    two.name("other-")
    two.uid("x")
    assert [one.name("web-") for _ in range(3)] == [two.name("web-") for _ in range(3)]
    assert one.uid("Pod", "a") == two.uid("Pod", "a")


def test_draws_differ_by_seed_purpose_and_turn():
    chance = Chance(1)
    drawn = [chance.name("a-"), chance.name("a-"), chance.name("a-", "Pod"), Chance(2).name("a-")]
    assert len(set(drawn)) == 4
    assert chance.number("a") == chance.number("a") != chance.number("b")


def test_shapes():
    chance = Chance(7)
    uids = {chance.uid("a") for _ in range(200)}
    assert len(uids) == 200
    assert all(uuid.UUID(uid).version == 4 for uid in uids)
    names = [chance.name("web-") for _ in range(300)]
    assert all(re.fullmatch(f"web-[{ALPHABET}]{{5}}", name) for name in names)
    assert set("".join(name[4:] for name in names)) == set(ALPHABET)
    assert len(chance.name("x" * 80)) == 63
