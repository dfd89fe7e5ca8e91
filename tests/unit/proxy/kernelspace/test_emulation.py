"""The chains that stand for the load balancers of HNS, as text."""

from typing import Any

from labkit.proxy.config import ProxyConfig, Winkernel
from labkit.proxy.kernelspace.emulation import chain_of, emulation, is_own
from labkit.proxy.kernelspace.plan import plan
from labkit.proxy.mode import View
from labkit.proxy.model import Backend, Frontend, Port

KEY = ("shop/web:http", "tcp")
VIP, HOST, NEAR, FAR = "10.96.0.20", "172.18.1.11", "10.244.1.2", "10.244.2.2"


def view(**more: Any) -> View:
    ends = (Backend(f"{NEAR}:8080", NEAR, "node-1"), Backend(f"{FAR}:8080", FAR, "node-2"))
    port = Port(Frontend(*KEY, VIP, 80, **more), ends)
    return View({KEY: port}, [KEY], 2, "node-1", "a", (HOST,))


def chains(seen: View, dsr: bool = False) -> dict[str, list[str]]:
    config = ProxyConfig(winkernel=Winkernel(enable_dsr=dsr))
    return {c.name: [str(r) for r in c.rules] for c in emulation(seen, config).table("nat").chains}


def test_without_dsr_everything_is_masqueraded() -> None:
    (lb,) = plan(view()).load_balancers
    found, own = chains(view()), chain_of(lb)
    named = f'-m comment --comment "shop/web:http HNS load balancer {lb.id}"'
    assert found["LABKIT-HNS-LB"] == [f"-d {VIP}/32 -p tcp {named} -m tcp --dport 80 -j {own}"]
    assert found[own] == [
        "-j MARK --set-xmark 0x4000/0x4000",
        f"-p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination {NEAR}:8080",
        f"-p tcp -j DNAT --to-destination {FAR}:8080",
    ]
    (marked,) = found["LABKIT-HNS-SNAT"]
    assert marked.startswith("-m mark --mark 0x4000/0x4000 -m comment") and marked.endswith("MASQUERADE --random-fully")
    for hook in ("PREROUTING", "OUTPUT", "POSTROUTING"):
        (jump,) = found[hook]
        assert "labkit: emulates" in jump and "which Linux has not" in jump
    assert all(is_own(name) for name in found if name.startswith("LABKIT")) and not is_own("KUBE-SERVICES")


def test_with_dsr_only_a_pod_that_reaches_itself_is() -> None:
    found = chains(view(), dsr=True)
    (lb,) = plan(view()).load_balancers
    assert not any("MARK" in rule for rule in found[chain_of(lb)])
    itself = f"-s {NEAR}/32 -d {NEAR}/32 -p tcp"
    assert [rule for rule in found["LABKIT-HNS-SNAT"] if rule.startswith("-s")] == [
        f'{itself} -m comment --comment "shop/web:http hairpin" -m tcp --dport 8080 -j MASQUERADE --random-fully'
    ]


def test_a_node_port_is_at_the_management_address_and_affinity_a_memory() -> None:
    seen = view(node_port=30080, affinity_seconds=60)
    found = chains(seen)
    assert [rule.split(" -m")[0] for rule in found["LABKIT-HNS-LB"]] == [f"-d {VIP}/32 -p tcp", f"-d {HOST}/32 -p tcp"]
    cluster = chain_of(plan(seen).load_balancers[0])
    mask = "--mask 255.255.255.255 --rsource"
    assert found[cluster][1:3] == [
        f"-p tcp -m recent --rcheck --name {cluster}-{ip} {mask} -j DNAT --to-destination {ip}:8080"
        for ip in (NEAR, FAR)
    ]
    assert f"-m recent --set --name {cluster}-{FAR} {mask} -j DNAT" in found[cluster][-1]
