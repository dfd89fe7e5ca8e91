"""The doctor's report: what it concludes from what was found, and how it tells it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.lab.machine import Machine
from labkit.lab.programs import PROGRAMS, Found
from labkit.lab.report import Part, Report
from labkit.linux.features import BY_NAME, FEATURES
from labkit.linux.probes import PROBES

MACHINE = Machine(
    kernel="6.1", python="3.11", user=1000, capabilities=(), bounds=("no_new_privs",), user_namespaces="",
    ptrace="not permitted", landlock=0, processors=2, memory=2048, free=1024,
)  # fmt: skip
BOTH = {"namespaces": "", "uml": ""}
REFUSED = {"namespaces": "no user namespaces: ask for them", "uml": ""}
NOTHING = {"namespaces": "no user namespaces", "uml": "not installed: sudo apt-get install user-mode-linux"}


def report(sandboxes: dict[str, str], /, **missing: str) -> Report:
    """`missing`: feature (with _ for -) -> the kinds that lack it."""
    lacks = {name.replace("_", "-"): kinds.split() for name, kinds in missing.items()}
    assert lacks.keys() <= BY_NAME.keys()
    parts = (Part(f, dict.fromkeys(lacks.get(f.name, []), "unknown device type")) for f in FEATURES)
    return Report(MACHINE, sandboxes, tuple(parts), tuple(Found(p, "1.0") for p in PROGRAMS))


def test_every_feature_is_looked_for() -> None:
    assert {feature.name for feature in FEATURES} == PROBES.keys()
    assert {feature.instead for feature in FEATURES} - {""} <= PROBES.keys()


@pytest.mark.parametrize(
    ("found", "serving"),
    [
        (report(BOTH), ["namespaces", "uml"]),
        (report(REFUSED), ["uml"]),
        (report(BOTH, veth="namespaces"), ["uml"]),
        (report(BOTH, bridge="namespaces uml"), []),
        (report(BOTH, iptables_nft="uml"), ["namespaces", "uml"]),
        (report(BOTH, iptables_nft="uml namespaces", iptables_legacy="uml"), ["namespaces"]),
        (report(NOTHING), []),
    ],
)
def test_a_lab_takes_what_starts_and_has_what_every_lab_needs(found: Report, serving: list[str]) -> None:
    assert found.serving == serving
    assert found.usable == bool(serving)
    told = str(found)
    assert ("No lab can run here." in told) == (not serving)
    assert json.loads(found.as_json())["serving"] == serving


def test_what_another_sandbox_has_is_no_loss() -> None:
    told = str(report(BOTH, ipvs="namespaces", nftables="uml"))
    assert "\nipvs                  no          yes         kube-proxy in IPVS mode\n" in told
    assert "\nnftables              yes         no          kube-proxy in nftables mode\n" in told
    assert "missing" not in told


def test_what_no_sandbox_has_is_told_with_its_cost_and_its_remedy() -> None:
    told = str(report(BOTH, wireguard="namespaces uml", conntrack="namespaces uml")).partition("\nmissing\n")[2]
    assert told.splitlines() == [
        "wireguard             no notebook needs it so far",
        "                      sudo modprobe wireguard",
        "conntrack             every notebook needs it",
        "                      sudo modprobe nf_conntrack_netlink",
    ]


def test_where_no_lab_can_run_the_remedy_is_told() -> None:
    told = str(report(BOTH, bridge="namespaces uml"))
    assert "No lab can run here." in told
    assert told.endswith("bridge                every notebook needs it\n                      sudo modprobe bridge")


def test_one_iptables_is_enough() -> None:
    assert "missing" not in str(report(REFUSED, iptables_nft="uml"))


def test_where_one_sandbox_does_not_start_its_reason_says_what_to_do() -> None:
    told = str(report(REFUSED, nftables="uml"))
    assert "sandbox namespaces    no user namespaces: ask for them\n" in told
    assert "A lab takes uml." in told
    assert told.endswith("the sandbox namespaces, where it works, may have it: see above")


def test_a_missing_program_is_told_with_the_notebooks_that_use_it() -> None:
    found = report(BOTH)
    programs = (Found(p, "" if p.name == "curl" else "1.0") for p in PROGRAMS)
    told = str(replace(found, programs=tuple(programs)))
    assert "\ncurl                  missing     HTTP requests by hand\n" in told
    assert "\ncurl                  needed by 00_start" in told
    assert "\n                      sudo apt-get install curl" in told


def test_the_machine_is_told_too() -> None:
    told = str(report(BOTH)).splitlines()
    assert told[:6] == [
        "Linux 6.1, Python 3.11, user 1000",
        "memory                2048 MB, 1024 free; 2 processors",
        "capabilities          none (no_new_privs)",
        "user namespaces       allowed",
        "ptrace                refused: not permitted",
        "Landlock              none",
    ]
    assert max(map(len, told)) <= 120


def test_every_package_but_certificates_and_headers_has_a_program_here() -> None:
    listed = (Path(__file__).parents[3] / "binder/apt.txt").read_text().splitlines()
    packages = {line.rstrip("?") for line in listed if not line.startswith("#")}
    assert packages - {program.package for program in PROGRAMS} == {"ca-certificates", "libbpf-dev"}
    assert {program.package for program in PROGRAMS} <= packages
