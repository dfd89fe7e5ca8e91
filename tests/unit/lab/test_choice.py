"""Which sandbox a lab gets, and in which words."""

import pytest

from labkit.errors import LabError, MissingFeature, NoSandbox
from labkit.lab import arguments, choice
from labkit.linux.features import FEATURES
from labkit.linux.probes import PROBES

NO_NAMESPACES = NoSandbox("no user namespaces here")
NO_NETEM = MissingFeature("no netem", missing={"netem": "unknown"})


def test_namespaces_come_first_unless_another_kind_is_asked_for() -> None:
    assert choice.attempts("auto") == ("namespaces", "uml")
    assert choice.attempts("uml") == ("uml",)


@pytest.mark.parametrize(
    ("kind", "wanted", "refused", "line"),
    [
        ("namespaces", "auto", {}, "Linux namespaces, which this machine allows"),
        ("uml", "uml", {}, "User-Mode Linux, as asked for"),
        (
            "uml",
            "auto",
            {"namespaces": NO_NAMESPACES},
            "User-Mode Linux, because this machine allows no user namespaces",
        ),
        (
            "uml",
            "auto",
            {"namespaces": NO_NETEM},
            "User-Mode Linux, because this machine's own kernel has no netem (links with delay and loss)",
        ),
    ],
)
def test_one_line_says_which_and_why(kind: str, wanted: str, refused: dict[str, LabError], line: str) -> None:
    assert choice.why(kind, wanted, refused) == line


def test_where_none_works_each_says_why() -> None:
    error = choice.failure({"namespaces": NO_NAMESPACES, "uml": NoSandbox("User-Mode Linux is not installed")})
    assert isinstance(error, NoSandbox)
    assert "Linux namespaces: no user namespaces here" in str(error)
    assert "User-Mode Linux: User-Mode Linux is not installed" in str(error)
    assert choice.failure({"uml": NO_NETEM}) is NO_NETEM


def test_a_lab_asks_for_what_its_arguments_use() -> None:
    assert arguments.features("ptp", "iptables", "", {}, ()) == []
    asked = arguments.features("bridge", "iptables", "nft", {"bw": 10}, ["ipvs"])
    assert asked == ["ipvs", "bridge-nf", "iptables-nft", "htb"]
    assert arguments.features("ptp", "ipvs", "", {}, ["ipset"]) == ["ipset", "ipvs"]
    assert arguments.features("ptp", "ebpf", "", {}, ()) == ["ebpf-cgroup", "ebpf-tc"]
    assert arguments.features("ptp", "iptables", "", {"delay": "5ms", "loss": 1}, ["netem"]) == ["netem"]
    assert arguments.features("ptp", "nftables", "", {}, ()) == ["nftables"]


@pytest.mark.parametrize(
    ("sandbox", "memory", "needs", "message"),
    [
        ("docker", 512, (), "sandbox is 'docker': choose one of auto, namespaces, uml"),
        ("uml", 64, (), "memory is 64: megabytes are wanted, 128 to"),
        ("uml", True, (), "memory is True"),
        ("auto", 512, ("ipv",), "needs has 'ipv': a kernel's features are veth, "),
    ],
)
def test_what_makes_no_sense_is_named(sandbox: str, memory: int, needs: tuple[str, ...], message: str) -> None:
    with pytest.raises(LabError) as caught:
        arguments.check_sandbox(sandbox, memory, needs)
    assert message in str(caught.value)


def test_every_feature_has_its_probe() -> None:
    assert [feature.name for feature in FEATURES] == list(PROBES)
