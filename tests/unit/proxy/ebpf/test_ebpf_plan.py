"""What the maps say, printed as Cilium prints it."""

import pytest
from msgspec.structs import replace

from labkit.proxy.config import DEFAULT, EbpfConfig, ProxyConfig
from labkit.proxy.ebpf.decode import decode
from labkit.proxy.ebpf.maps import MAPS
from labkit.proxy.ebpf.plan import merged, plan
from labkit.proxy.ebpf.tables import Tables
from labkit.proxy.mode import seen

from .objects import EVERY_KIND, HERE, NODE, THEIR_ENDS, on_node, service, twin

LISTED = """\
SERVICE ADDRESS               BACKEND ADDRESS (REVNAT_ID) (SLOT)
0.0.0.0:30003/TCP (0)         0.0.0.0:0 (1) (0) [NodePort, Local, two-scopes, non-routable]
0.0.0.0:30003/TCP (1)         10.244.1.5:8080/TCP (1) (1)
0.0.0.0:30003/TCP/i (0)       0.0.0.0:0 (1) (0) [NodePort, Local, two-scopes, non-routable]
0.0.0.0:30003/TCP/i (1)       10.244.1.5:8080/TCP (1) (1)
0.0.0.0:30003/TCP/i (2)       10.244.2.7:8080/TCP (1) (2)
10.96.0.3:80/TCP (0)          0.0.0.0:0 (2) (0) [ClusterIP, non-routable]
10.96.0.3:80/TCP (1)          10.244.1.5:8080/TCP (2) (1)
10.96.0.3:80/TCP (2)          10.244.2.7:8080/TCP (2) (2)
172.18.1.11:30003/TCP (0)     0.0.0.0:0 (3) (0) [NodePort, Local, two-scopes]
172.18.1.11:30003/TCP (1)     10.244.1.5:8080/TCP (3) (1)
172.18.1.11:30003/TCP/i (0)   0.0.0.0:0 (3) (0) [NodePort, Local, two-scopes]
172.18.1.11:30003/TCP/i (1)   10.244.1.5:8080/TCP (3) (1)
172.18.1.11:30003/TCP/i (2)   10.244.2.7:8080/TCP (3) (2)
192.0.2.3:80/TCP (0)          0.0.0.0:0 (4) (0) [LoadBalancer, Local, two-scopes, check source-range]
192.0.2.3:80/TCP (1)          10.244.1.5:8080/TCP (4) (1)
192.0.2.3:80/TCP/i (0)        0.0.0.0:0 (4) (0) [LoadBalancer, Local, two-scopes, check source-range]
192.0.2.3:80/TCP/i (1)        10.244.1.5:8080/TCP (4) (1)
192.0.2.3:80/TCP/i (2)        10.244.2.7:8080/TCP (4) (2)
"""


def test_the_listing_is_ciliums() -> None:
    tables = Tables(DEFAULT)
    tables.update(on_node([EVERY_KIND[2]], THEIR_ENDS), None)
    assert str(tables.plan()) == LISTED


LISTED_V6 = """\
SERVICE ADDRESS                                    BACKEND ADDRESS (REVNAT_ID) (SLOT)
[::]:30002/TCP (0)                                 [::]:0 (1) (0) [NodePort, sessionAffinity, non-routable]
[::]:30002/TCP (1)                                 [fd00::10:244:1:5]:8080/TCP (1) (1)
[::]:30002/TCP (2)                                 [fd00::10:244:2:7]:8080/TCP (1) (2)
[fd00::10:96:0:2]:80/TCP (0)                       [::]:0 (2) (0) [ClusterIP, sessionAffinity, non-routable]
[fd00::10:96:0:2]:80/TCP (1)                       [fd00::10:244:1:5]:8080/TCP (2) (1)
[fd00::10:96:0:2]:80/TCP (2)                       [fd00::10:244:2:7]:8080/TCP (2) (2)
[fd00::172:18:1:11]:30002/TCP (0)                  [::]:0 (3) (0) [NodePort, sessionAffinity]
[fd00::172:18:1:11]:30002/TCP (1)                  [fd00::10:244:1:5]:8080/TCP (3) (1)
[fd00::172:18:1:11]:30002/TCP (2)                  [fd00::10:244:2:7]:8080/TCP (3) (2)
"""


def test_the_listing_of_ipv6_has_its_addresses_in_brackets() -> None:
    tables = Tables(ProxyConfig(family="IPv6"))
    tables.update(on_node([EVERY_KIND[1]], THEIR_ENDS, "IPv6"), None)
    assert str(tables.plan()).split() == LISTED_V6.split()


def test_both_families_are_in_one_list() -> None:
    plans = [plan(on_node(EVERY_KIND, THEIR_ENDS, family), ProxyConfig(family=family)) for family in MAPS]
    both = str(merged(plans)).splitlines()
    assert [" ".join(line.split()) for line in both] == [
        " ".join(line.split()) for one, skip in zip(plans, (0, 1), strict=True) for line in str(one).splitlines()[skip:]
    ]


def test_node_ports_are_where_the_configuration_has_them() -> None:
    view = on_node([EVERY_KIND[1]], THEIR_ENDS)

    def where(**config: object) -> set[str]:
        found = plan(view, ProxyConfig(**config)).frontends.values()
        return {f.address[0] for f in found if f.kind == "NodePort"}

    assert where() == {"172.18.1.11", "0.0.0.0"}
    assert where(localhost_nodeports=False) == {"172.18.1.11"}
    assert where(nodeport_addresses=("10.0.0.0/8",)) == set()
    assert where(nodeport_addresses=("127.0.0.0/8",)) == {"0.0.0.0"}
    assert where(nodeport_addresses=("172.18.0.0/16", "10.0.0.0/8")) == {"172.18.1.11"}


def test_node_ports_of_ipv6_are_on_its_loopback_too() -> None:
    view = on_node([EVERY_KIND[1]], THEIR_ENDS, "IPv6")

    def where(**config: object) -> set[str]:
        found = plan(view, ProxyConfig(family="IPv6", **config)).frontends.values()
        return {f.address[0] for f in found if f.kind == "NodePort"}

    assert where() == {"fd00::172:18:1:11", "::"}
    assert where(localhost_nodeports=False) == {"fd00::172:18:1:11"}
    assert where(nodeport_addresses=("::1/128",)) == {"::"}
    assert where(nodeport_addresses=("fd00::/16",)) == {"fd00::172:18:1:11"}


def test_an_address_of_ipv6_is_one_however_it_is_spelt() -> None:
    asked = twin(service("x", 9, externalIPs=["192.0.2.9"]))
    spelt = replace(asked, spec=replace(asked.spec, external_ips=("2001:DB8:0:0::9",)))
    tables = Tables(ProxyConfig(family="IPv6"))
    tables.update(seen([spelt], [], twin(NODE), "IPv6"), None)
    assert ("2001:db8::9", 80, "tcp") in tables.plan().frontends
    assert decode(tables.entries, MAPS["IPv6"]).frontends == tables.plan().frontends


def test_what_has_no_hook_is_left_out() -> None:
    sctp = service("x", 9, ports=[{"name": "http", "port": 80, "protocol": "SCTP"}])
    assert plan(on_node([sctp], [])).frontends == {}


def test_local_endpoints_are_the_nodes_own() -> None:
    assert plan(on_node(EVERY_KIND, THEIR_ENDS)).here == {HERE[0]}


@pytest.mark.parametrize(
    ("asked", "configured", "maglev"),
    [("Maglev", "random", True), ("random", "maglev", False), ("", "maglev", True), ("fastest", "random", False)],
)
def test_a_service_may_ask_for_its_algorithm(asked: str, configured: str, maglev: bool) -> None:
    one = service("x", 9, annotations={"service.cilium.io/lb-algorithm": asked} if asked else {})
    found = plan(on_node([one], []), ProxyConfig(ebpf=EbpfConfig(configured)))
    assert [f.maglev for f in found.frontends.values()] == [maglev]
