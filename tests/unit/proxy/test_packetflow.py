"""kube-proxy's own packet-flow expectations: the plan of each mode, walked by the model tracer."""

from collections.abc import Mapping
from typing import Any

import pytest
from differences import EBPF, IPVS, KERNELSPACE, USERSPACE, expected, from_node, selected
from packetflow import CASES, LEFT_OUT, NODE, NODE_ADDRESSES, Case, cases, endpoint_slice, service, suites
from selection import NODE_ADDRESS, SELECTIONS, selection_packets, selection_view

from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.ebpf.plan import plan as ebpf
from labkit.proxy.iptables.plan import plan as iptables
from labkit.proxy.ipvs.plan import IpvsPlan
from labkit.proxy.ipvs.plan import plan as ipvs_plan
from labkit.proxy.kernelspace.emulation import emulation
from labkit.proxy.kernelspace.plan import plan as kernelspace
from labkit.proxy.mode import View, seen
from labkit.proxy.nftables.plan import plan as nftables
from labkit.proxy.userspace.plan import UserspacePlan, wanted
from labkit.proxy.userspace.plan import plan as userspace_plan
from labkit.trace.model.predict import predict


def userspace(view: View, config: ProxyConfig = DEFAULT) -> UserspacePlan:
    served = [key for key in view.keys if wanted(view.ports[key])]
    return userspace_plan(view, {key: 40000 + number for number, key in enumerate(served)}, config=config)


def ipvs(view: View, config: ProxyConfig = DEFAULT) -> IpvsPlan:
    """The plan of a node that has all of its addresses."""
    return ipvs_plan(view, config, frozenset(ip for ip in NODE_ADDRESSES if (":" in ip) == (config.family == "IPv6")))


PLANS = {
    "iptables": iptables,
    "nftables": nftables,
    "ipvs": ipvs,
    "ebpf": ebpf,
    "userspace": userspace,
    "kernelspace": kernelspace,
}


@pytest.mark.parametrize(("mode", "case"), [pytest.param(m, c, id=f"{m}-{c}") for m in PLANS for c in cases(m)])
def test_flow(mode: str, case: Case) -> None:
    plan = PLANS[mode](case.view, case.config)
    found = predict(plan, case.packet, node_addresses=NODE_ADDRESSES, from_node=from_node(mode, case))
    what = expected(mode, case)
    assert found.verdict == what["verdict"]
    assert list(found.to) == sorted(what.get("to", []))
    if "masquerade" in what:
        assert found.masquerade == what["masquerade"]
    assert sum(o.probability for o in found.outcomes) == pytest.approx(1)


@pytest.mark.parametrize("case", SELECTIONS, ids=lambda c: c["id"])
@pytest.mark.parametrize("mode", ["iptables", "nftables", "ipvs", "ebpf"])
def test_the_endpoints_that_a_node_uses(mode: str, case: dict[str, Any]) -> None:
    plan = PLANS[mode](selection_view(case))
    for packet, told in selection_packets(case):
        what = selected(mode, case, packet, told)
        found = predict(plan, packet, node_addresses={NODE_ADDRESS})
        assert (found.verdict, list(found.to)) == (what["verdict"], sorted(what["to"]))


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
    ready = {"address": "10.0.1.1", "node": None}
    ends = {"namespace": "ns1", "service": "svc1", "endpoints": [ready], "ports": [{"name": "p80", "port": 80}]}
    view = seen([one], [endpoint_slice(ends)], NODE)
    assert (case["lbIP"] in str(PLANS[mode](view))) == case["rule_for_lb_ip"]


@pytest.mark.parametrize(
    ("mode", "table"), [("ebpf", EBPF), ("ipvs", IPVS), ("userspace", USERSPACE), ("kernelspace", KERNELSPACE)]
)
def test_every_difference_is_of_one_flow_that_the_mode_is_held_to(
    mode: str, table: Mapping[str, Mapping[str, Any]]
) -> None:
    flows = [flow for differences in table.values() for flow in differences]
    assert len(flows) == len(set(flows))
    assert set(flows) <= {str(case) for case in cases(mode)}


@pytest.mark.parametrize("case", list(cases("kernelspace")), ids=str)
def test_what_emulates_hns_does_as_hns(case: Case) -> None:
    node = {"node_addresses": NODE_ADDRESSES, "from_node": case.from_node}
    windows = predict(kernelspace(case.view, case.config), case.packet, **node)
    linux = predict(emulation(case.view, case.config), case.packet, **node)
    assert (linux.verdict, linux.masquerade) == (windows.verdict, windows.masquerade)
    assert linux.to == pytest.approx(windows.to)
