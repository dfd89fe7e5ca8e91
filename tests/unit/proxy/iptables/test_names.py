import json
from pathlib import Path

import pytest

from labkit.proxy import draft
from labkit.proxy.iptables import names

CASES = json.loads((Path(__file__).parents[3] / "data" / "packetflow_cases.json").read_text())
VECTORS = [v for v in CASES["chain_names"]["vectors"] if v["mode"] == "iptables"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_chain_names(vector: dict[str, str]) -> None:
    kind, wanted = vector["name"].rsplit("-", 1)
    port, _, address = vector["input"].partition("tcp")
    if kind == "KUBE-SEP":
        assert names.endpoint_chain(port, "tcp", address) == vector["name"]
    else:
        assert names.port_hash(port, "tcp") == wanted


@pytest.mark.parametrize(("n", "text"), CASES["iptables_probability"]["pairs"])
def test_probability(n: int, text: str) -> None:
    assert draft.probability(n) == text


def test_probability_as_the_kernel_rounds_it() -> None:
    assert [draft.saved_probability(n) for n in (2, 3, 7)] == ["0.50000000000", "0.33333333349", "0.14285714272"]


def test_own_chains() -> None:
    assert all(map(names.is_own, ("KUBE-SERVICES", "KUBE-SEP-SXIVWICOYRO3J4NJ", "KUBE-PROXY-CANARY")))
    assert not any(map(names.is_own, ("KUBE-KUBELET-CANARY", "KUBE-ROUTER-FORWARD", "DOCKER", "INPUT")))
