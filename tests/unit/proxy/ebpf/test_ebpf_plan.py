"""What the maps say, printed as Cilium prints it."""

import pytest

from labkit.proxy.config import DEFAULT, EbpfConfig, ProxyConfig
from labkit.proxy.ebpf.plan import plan
from labkit.proxy.ebpf.tables import Tables

from .objects import EVERY_KIND, HERE, THEIR_ENDS, on_node, service

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
