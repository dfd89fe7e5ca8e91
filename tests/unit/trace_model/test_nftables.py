"""The model tracer of nftables mode: verdicts, marks, chance, affinity, and what it does not know."""

import msgspec
import pytest

from labkit.errors import RuleError
from labkit.net import nft
from labkit.net.nft import Chain, Hook, Rule, Table, Verdict
from labkit.net.packet import Packet
from labkit.trace.model.predict import predict

IN, FORWARD = Hook("nat", "prerouting", -100), Hook("filter", "forward", 0)
PACKET = Packet("10.244.1.5", "10.96.0.20", "TCP", 40000, 80)
TO = (nft.Match("meta l4proto", "tcp"), nft.Dnat("10.244.2.7:8080"))


def table(
    *chains: Chain, sets: tuple[nft.NamedSet, ...] = (), elements: dict[str, dict[nft.Key, nft.Element]] | None = None
) -> Table:
    return Table("ip", "t", sets, chains, elements or {})


def test_jump_comes_back_and_goto_does_not() -> None:
    mark, inner = Rule((nft.SetMark("|", 1),)), Chain("inner")
    for kind, marked in (("jump", 2), ("goto", 1)):
        base = Chain("base", (Rule((Verdict(kind, "inner"),)), mark), IN)  # type: ignore[arg-type]
        (outcome,) = predict(table(base, inner), PACKET).outcomes
        assert len(outcome.hits) == marked
        assert outcome.verdict == "UNTOUCHED"


def test_return_ends_a_chain_and_drop_all_hooks() -> None:
    inner = Chain("inner", (Rule((Verdict("return"),)), Rule((Verdict("drop"),))))
    base = Chain("base", (Rule((Verdict("jump", "inner"),)), Rule(TO)), IN)
    after = Chain("after", (Rule((nft.Match("ip daddr", "10.244.2.0/24"), Verdict("drop"))),), FORWARD)
    (outcome,) = predict(table(base, inner, after), PACKET).outcomes
    assert [(hit.chain, hit.number) for hit in outcome.hits] == [("base", 1), ("inner", 1), ("base", 2), ("after", 1)]
    assert outcome.verdict == "DROP"


def test_chance_follows_every_way() -> None:
    ends = [Chain(f"end-{n}", (Rule((nft.Dnat(f"10.244.2.{n}:80"),)),)) for n in (1, 2, 3, 4)]
    spread = nft.Spread(tuple(Verdict("goto", end.name) for end in ends))
    found = predict(table(Chain("base", (Rule((spread,)),), IN), *ends), PACKET)
    assert found.to == {f"10.244.2.{n}:80": 0.25 for n in (1, 2, 3, 4)}
    assert found.verdict == "DNAT"


def test_base_chains_come_by_priority_and_nat_sees_new_connections_only() -> None:
    late = Chain("late", (Rule((Verdict("accept"),)),), Hook("filter", "prerouting", 5))
    early = Chain("early", (Rule((Verdict("accept"),)),), Hook("filter", "prerouting", -300))
    nat = Chain("nat", (Rule(TO),), IN)
    (outcome,) = predict(table(late, nat, early), PACKET).outcomes
    assert [hit.chain for hit in outcome.hits] == ["early", "nat", "late"]
    (outcome,) = predict(table(late, nat, early), PACKET, state="ESTABLISHED").outcomes
    assert [hit.chain for hit in outcome.hits] == ["early", "late"]


def test_a_client_that_is_remembered() -> None:
    known = nft.NamedSet("known", ("ipv4_addr",), timeout=60)
    back = Rule((nft.InSet("ip saddr", "known"), Verdict("goto", "end")))
    end = Chain("end", (Rule((nft.Update("known", "ip saddr"),)), Rule(TO)))
    plan = table(Chain("base", (back, Rule((Verdict("drop"),))), IN), end, sets=(known,))
    assert predict(plan, PACKET).verdict == "DROP"
    found = predict(plan, PACKET, remembered={"known"})
    assert found.to == {"10.244.2.7:8080": 1.0}
    assert found.outcomes[0].remembered == {"known"}


def test_marks_and_masquerading() -> None:
    base = Chain("base", (Rule((nft.SetMark("|", 0x4000),)),), IN)
    out = Chain(
        "out",
        (Rule((nft.Unmarked(0x4000), Verdict("return"))), Rule((nft.SetMark("^", 0x4000),)), Rule((nft.Masquerade(),))),
        Hook("nat", "postrouting", 100),
    )
    assert predict(table(base, out), PACKET).masquerade is True
    assert predict(table(out), PACKET).masquerade is False
    (outcome,) = predict(table(base, out), PACKET, node_addresses={"10.96.0.20"}).outcomes
    assert not outcome.masquerade, "what came in and stays does not pass postrouting"


def test_a_packet_of_another_family_is_untouched() -> None:
    dropping = table(Chain("base", (Rule((Verdict("drop"),)),), IN))
    assert predict(dropping, Packet("fd00::1", "fd00::2", "TCP", 1, 2)).verdict == "UNTOUCHED"


class Unknown(msgspec.Struct, frozen=True):
    def __str__(self) -> str:
        return "counter"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (table(Chain("base", (Rule((Unknown(),)),), IN)), "counter"),  # type: ignore[arg-type]
        (table(Chain("base", (Rule((Verdict("jump", "gone"),)),), IN)), "gone"),
        (table(Chain("base", (Rule((Verdict("jump", "base"),)),), IN)), "loop"),
        (table(Chain("base", (Rule((nft.InSet("ip daddr", "gone"), Verdict("drop"))),), IN)), "gone"),
        (table(Chain("base", (Rule((nft.Dispatch(("ip daddr",), "gone"),)),), IN)), "gone"),
    ],
)
def test_what_the_model_does_not_know(plan: Table, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        predict(plan, PACKET)
