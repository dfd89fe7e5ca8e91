"""An emulation: iptables rules that treat a node's packets as the load balancers of HNS would.

Linux has no VFP. These chains stand for its layers, so that a lab on Linux shows what a Windows node does with packets:

    PREROUTING, OUTPUT -> LABKIT-HNS-LB -> LABKIT-HNS-<load balancer> -> DNAT     LB_DSR, LB, SLB_LB_LAYER
    POSTROUTING -> LABKIT-HNS-SNAT -> MASQUERADE                                  source NAT without DSR; hairpin

A hash of the connection becomes a random choice, a hash of the client's address (session affinity) the memory of one.
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.net.packet import endpoint
from labkit.net.rules import Ruleset
from labkit.proxy.chains import Block, Chains, Place
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.draft import comment, destination, jump, one_of, source, to_port
from labkit.proxy.hashed import hashed
from labkit.proxy.kernelspace.hns import PROTOCOLS, Distribution, LoadBalancer
from labkit.proxy.kernelspace.policies import load_balancers
from labkit.proxy.mode import View

BALANCE: Place = ("nat", "LABKIT-HNS-LB")
TRANSLATE: Place = ("nat", "LABKIT-HNS-SNAT")
SHARED = (BALANCE, TRANSLATE)
PREFIX = "LABKIT-HNS-"
FRAME = ("", "")
"""The key of the rules that belong to no Service port: it comes before all others."""
_NAMES = {number: name for name, number in PROTOCOLS.items()}

_LB = f"{comment('labkit: emulates the load balancing layers of VFP, which Linux has not')} {jump(BALANCE[1])}"
_NAT = f"{comment('labkit: emulates the source NAT of VFP, which Linux has not')} {jump(TRANSLATE[1])}"
HOOKS: Block = {("nat", "PREROUTING"): [_LB], ("nat", "OUTPUT"): [_LB], ("nat", "POSTROUTING"): [_NAT]}


def frame(config: ProxyConfig) -> Block:
    """What is marked on its way to an endpoint gets the node's address."""
    mark = f"{1 << config.masquerade_bit:#x}"
    why = comment("the endpoint answers through this node: no DSR")
    return {TRANSLATE: [f"-m mark --mark {mark}/{mark} {why} -j MASQUERADE --random-fully"]}


def block(made: tuple[LoadBalancer, ...], management_ip: str, config: ProxyConfig) -> Block:
    """The rules of one Service port."""
    rules: dict[Place, list[str]] = {}
    for one in made:
        chain = chain_of(one)
        protocol = _NAMES[one.mapping.protocol]
        to = destination(one.vip or management_ip)
        what = comment(f"{one.name} HNS load balancer {one.id}")
        port = to_port(protocol, one.mapping.external_port)
        rules.setdefault(BALANCE, []).append(f"{to} -p {protocol} {what} {port} {jump(chain)}")
        rules[("nat", chain)] = list(_spread(one, protocol, config))
        for ip in one.ips:
            if one.dsr and ip in one.local:
                itself = f"{source(ip)} {destination(ip)} -p {protocol} {comment(f'{one.name} hairpin')}"
                inner = to_port(protocol, one.mapping.internal_port)
                rules.setdefault(TRANSLATE, []).append(f"{itself} {inner} -j MASQUERADE --random-fully")
    return {place: list(dict.fromkeys(texts)) for place, texts in rules.items()}


def chain_of(one: LoadBalancer) -> str:
    return PREFIX + hashed(one.id)


def is_own(chain: str) -> bool:
    return chain.startswith(PREFIX)


def _spread(one: LoadBalancer, protocol: str, config: ProxyConfig) -> Iterator[str]:
    """Mark what needs source NAT, then one endpoint of n."""
    mapping = one.mapping
    if not one.dsr:
        mark = f"{1 << config.masquerade_bit:#x}"
        yield f"-j MARK --set-xmark {mark}/{mark}"
    mask = ":".join(["ffff"] * 8) if config.family == "IPv6" else "255.255.255.255"
    to = [
        (f"{chain_of(one)}-{ip}", f"-j DNAT --to-destination {endpoint(ip, mapping.internal_port)}") for ip in one.ips
    ]
    sticky = mapping.distribution == Distribution.SOURCE_IP
    for name, target in to if sticky else ():
        yield f"-p {protocol} -m recent --rcheck --name {name} --mask {mask} --rsource {target}"
    for left, (name, target) in zip(range(len(to), 0, -1), to, strict=True):
        remember = f"-m recent --set --name {name} --mask {mask} --rsource" if sticky else ""
        yield " ".join(filter(None, (f"-p {protocol}", one_of(left), remember, target)))


def emulation(view: View, config: ProxyConfig = DEFAULT) -> Ruleset:
    """All rules of a node, complete."""
    chains = Chains(SHARED, HOOKS, config.family)
    made = {key: load_balancers(view.ports[key], view, config) for key in view.keys}
    blocks = {key: block(ones, view.node_ip, config) for key, ones in made.items()}
    chains.replace({FRAME: frame(config), **blocks}, None)
    return chains.ruleset()
