"""kube-proxy's own packet-flow expectations: the plan of each mode, walked by the model tracer."""

from typing import Any

import pytest
from packetflow import CASES, LEFT_OUT, NODE, NODE_ADDRESSES, Case, cases, service, suites

from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.iptables.plan import plan as iptables
from labkit.proxy.ipvs.plan import Plan, plan
from labkit.proxy.mode import View, seen
from labkit.trace.model.predict import predict


def ipvs(view: View, config: ProxyConfig = DEFAULT) -> Plan:
    """The plan of a node that has all of its addresses."""
    return plan(view, config, frozenset(ip for ip in NODE_ADDRESSES if (":" in ip) == (config.family == "IPv6")))


PLANS = {"iptables": iptables, "ipvs": ipvs}


@pytest.mark.parametrize(("mode", "case"), [pytest.param(m, c, id=f"{m}-{c}") for m in PLANS for c in cases(m)])
def test_flow(mode: str, case: Case) -> None:
    plan = PLANS[mode](case.view, case.config)
    found = predict(plan, case.packet, node_addresses=NODE_ADDRESSES, from_node=case.from_node)
    expected = case.expected(mode)
    assert found.verdict == expected["verdict"]
    assert list(found.to) == sorted(expected.get("to", []))
    if "masquerade" in expected:
        assert found.masquerade == expected["masquerade"]
    assert sum(o.probability for o in found.outcomes) == pytest.approx(1)


@pytest.mark.parametrize("mode", PLANS)
def test_every_suite_is_run_or_left_out_with_a_reason(mode: str) -> None:
    assert {s["id"] for s in CASES["suites"]} == {s["id"] for s in suites(mode)} | LEFT_OUT[mode].keys()


@pytest.mark.parametrize("case", CASES["lb_ip_mode"]["cases"], ids=lambda c: c["id"])
@pytest.mark.parametrize("mode", PLANS)
def test_load_balancer_ip_mode(mode: str, case: dict[str, Any]) -> None:
    one = service(
        {
            "namespace": "ns1",
            "name": "svc1",
            "clusterIP": case["clusterIP"],
            "type": "LoadBalancer",
            "lbIPs": [case["lbIP"]],
            "ipMode": case["ipMode"],
            "ports": [{"name": "p80", "port": 80}],
        }
    )
    assert (case["lbIP"] in str(PLANS[mode](seen([one], [], NODE)))) == case["rule_for_lb_ip"]
