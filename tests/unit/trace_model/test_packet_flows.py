"""kube-proxy's own packet-flow expectations: planned rules, walked by the model tracer, in iptables mode."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.net.packet import Packet
from labkit.proxy.plan import ProxyConfig, plan
from labkit.trace.model import predict

CASES = json.loads((Path(__file__).parents[2] / "data" / "packetflow_cases.json").read_text())
NODE_ADDRESSES = frozenset(CASES["environment"]["node_addresses"])

# Suites that are left out, each with its reason.
LEFT_OUT = {
    "np-nft-v4": "nftables mode: NodePorts answer on the primary address only",
    "np-nft-v6": "nftables mode: NodePorts answer on the primary address only",
}
# Written down from the nftables tests; kube-proxy's iptables tests hold the same ones (the file's modes_note).
SAME_IN_BOTH_MODES = ("itp-", "term-")


def suites() -> list[dict[str, Any]]:
    return [s for s in CASES["suites"] if "iptables" in s["modes"] or s["id"].startswith(SAME_IN_BOTH_MODES)]


def steps() -> list[Any]:
    """(suite, flow, how many actions of the suite come before it)."""
    found = []
    for suite in suites():
        stages = [suite["flows"], *(step["flows"] for step in suite.get("then", ()))]
        for stage, flows in enumerate(stages):
            found += [
                pytest.param(suite, flow, stage, id=flow["id"])
                for flow in flows
                if "iptables" in flow.get("modes", ["iptables"])
            ]
    return found


def service(case: dict[str, Any]) -> Service:
    names = {
        "clusterIP": "clusterIP",
        "type": "type",
        "externalIPs": "externalIPs",
        "loadBalancerSourceRanges": "loadBalancerSourceRanges",
        "externalTrafficPolicy": "externalTrafficPolicy",
        "internalTrafficPolicy": "internalTrafficPolicy",
        "healthCheckNodePort": "healthCheckNodePort",
        "sessionAffinity": "sessionAffinity",
        "ports": "ports",
    }
    spec: dict[str, Any] = {field: case[key] for key, field in names.items() if key in case}
    if "sessionAffinityTimeoutSeconds" in case:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": case["sessionAffinityTimeoutSeconds"]}}
    ingress = [{"ip": ip, "ipMode": case.get("ipMode")} for ip in case.get("lbIPs", ())]
    metadata = {"namespace": case["namespace"], "name": case["name"]}
    return view({"metadata": metadata, "spec": spec, "status": {"loadBalancer": {"ingress": ingress}}}, Service)


def endpoint_slice(case: dict[str, Any]) -> EndpointSlice:
    version = 4
    ends = []
    for end in case["endpoints"]:
        version = ip_address(end["address"]).version
        conditions = {k: end[k] for k in ("ready", "serving", "terminating") if k in end}
        ends.append({"addresses": [end["address"]], "nodeName": end["node"] or "", "conditions": conditions})
    labels = {"kubernetes.io/service-name": case["service"]}
    return view(
        {
            "metadata": {"namespace": case["namespace"], "name": f"{case['service']}-1", "labels": labels},
            "addressType": f"IPv{version}",
            "endpoints": ends,
            "ports": case["ports"],
        },
        EndpointSlice,
    )


NODE = view(
    {
        "metadata": {"name": CASES["environment"]["local_node"]},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.2"}]},
    },
    Node,
)


@pytest.mark.parametrize(("suite", "flow", "stage"), steps())
def test_flow(suite: dict[str, Any], flow: dict[str, Any], stage: int) -> None:
    services = [service(s) for s in suite["services"]]
    slices = [endpoint_slice(s) for s in suite["endpointslices"]]
    for action in [step["action"] for step in suite.get("then", ())][:stage]:
        if action == "delete the EndpointSlice":
            slices = []
        else:
            assert action == "delete the Service"
            services = []
    v6 = ":" in suite["services"][0]["clusterIP"]
    config = ProxyConfig(
        cluster_cidr="fd00:10::/64" if v6 else "10.0.0.0/8",
        localhost_nodeports=suite["config"].get("localhostNodePorts", True),
        masquerade_all=suite["config"].get("masqueradeAll", False),
        family="IPv6" if v6 else "IPv4",
    )
    packet = Packet(flow["sourceIP"], flow["destIP"], flow["protocol"], 40000, flow["destPort"])
    own = flow["sourceIP"] in NODE_ADDRESSES or ip_address(flow["sourceIP"]).is_loopback
    found = predict(plan(services, slices, NODE, config), packet, node_addresses=NODE_ADDRESSES, from_node=own)
    expected = flow["expect"]
    assert found.verdict == expected["verdict"]
    assert list(found.to) == sorted(expected.get("to", []))
    if "masquerade" in expected:
        assert found.masquerade == expected["masquerade"]
    assert sum(o.probability for o in found.outcomes) == pytest.approx(1)


def test_every_suite_is_run_or_left_out_with_a_reason() -> None:
    assert {s["id"] for s in CASES["suites"]} == {s["id"] for s in suites()} | LEFT_OUT.keys()


@pytest.mark.parametrize("case", CASES["lb_ip_mode"]["cases"], ids=lambda c: c["id"])
def test_load_balancer_ip_mode(case: dict[str, Any]) -> None:
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
    rules = plan([one], [], NODE)
    assert (f"-d {case['lbIP']}/32" in str(rules)) == case["rule_for_lb_ip"]
