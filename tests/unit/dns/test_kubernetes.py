"""What the tables in dns_cases.json do not say."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.dns.corefile import Kubernetes
from labkit.dns.index import Index
from labkit.dns.kubernetes import answer, reverse_address
from labkit.net import dnsrecords as records
from labkit.net.dnsrecords import Question, Response, Srv

CONFIG = Kubernetes(ttl=30, pods="insecure", fallthrough=("in-addr.arpa.", "ip6.arpa."))

WEB = {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}]}


def cluster() -> Index:
    index = Index()
    for name in ("shop", "kube-system"):
        index.apply("ADDED", {"kind": "Namespace", "metadata": {"name": name}})
    add_service(index, "web", WEB)
    add_service(index, "db", {"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]})
    add_service(index, "kube-dns", {"clusterIP": "10.96.0.10", "ports": [{"port": 53}]}, "kube-system")
    for name, ips, namespace in (("db", [5, 6], "shop"), ("web", [7], "shop"), ("kube-dns", [2, 3], "kube-system")):
        labels = {"kubernetes.io/service-name": name}
        endpoints = [{"addresses": [f"10.244.1.{n}"], "targetRef": {"name": f"{name}-{n}"}} for n in ips]
        meta = {"name": f"{name}-x", "namespace": namespace, "labels": labels, "resourceVersion": "12"}
        slice_ = {"kind": "EndpointSlice", "metadata": meta, "endpoints": endpoints}
        index.apply("ADDED", {**slice_, "ports": [{"name": "sql", "port": 5432}]})
    return index


def add_service(index: Index, name: str, spec: dict[str, Any], namespace: str = "shop") -> None:
    index.apply("ADDED", {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec})


def ask(name: str, kind: int = records.A, index: Index | None = None, config: Kubernetes = CONFIG) -> Response:
    found = answer(Question(name, kind), index or cluster(), config, ("10.244.1.2",))
    assert found is not None
    return found


def data(response: Response) -> list[object]:
    return [record.data for record in response.answer]


def test_name_servers_are_the_service_that_the_server_stands_behind() -> None:
    found = ask("cluster.local.", records.NS)
    assert data(found) == ["kube-dns.kube-system.svc.cluster.local."]
    assert [record.data for record in found.additional] == ["10.96.0.10"]
    assert data(ask("ns.dns.cluster.local.")) == ["10.96.0.10"]
    assert ask("ns.dns.cluster.local.", records.AAAA).answer == ()


def test_serial_and_ttl_of_the_zone() -> None:
    (soa,) = ask("cluster.local.", records.SOA).answer
    assert (soa.ttl, soa.data.serial, soa.data.minimum) == (30, 12, 30)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["9.9.9.9.in-addr.arpa.", "9.in-addr.arpa.", "x.ip6.arpa."])
def test_unknown_reverse_names_fall_through(name: str) -> None:
    assert answer(Question(name, records.PTR), cluster(), CONFIG) is None
    assert ask(name, records.PTR, config=Kubernetes()).rcode == records.NXDOMAIN


def test_names_outside_the_zones_are_not_the_plugins() -> None:
    assert answer(Question("example.com.", records.A), cluster(), CONFIG) is None
    assert answer(Question("notcluster.local.", records.A), cluster(), CONFIG) is None


def test_reverse_records() -> None:
    assert data(ask("1.0.96.10.in-addr.arpa.", records.PTR)) == ["web.shop.svc.cluster.local."]
    assert data(ask("5.1.244.10.in-addr.arpa.", records.PTR)) == ["10-244-1-5.db.shop.svc.cluster.local."]
    named = Kubernetes(endpoint_pod_names=True)
    assert data(ask("5.1.244.10.in-addr.arpa.", records.PTR, config=named)) == ["db-5.db.shop.svc.cluster.local."]
    assert reverse_address("1.0.0.0." + "0." * 27 + "f.ip6.arpa.") == bytes([0xF0, *[0] * 14, 1])
    assert reverse_address("300.0.0.10.in-addr.arpa.") is None


def test_endpoint_records_exist_for_services_with_an_address_too() -> None:
    assert data(ask("10-244-1-7.web.shop.svc.cluster.local.")) == ["10.244.1.7"]
    assert data(ask("db-5.db.shop.svc.cluster.local.", config=Kubernetes(endpoint_pod_names=True))) == ["10.244.1.5"]


def test_srv_by_port_and_protocol() -> None:
    assert data(ask("_SQL._tcp.db.shop.svc.cluster.local.", records.SRV)) == [
        Srv(0, 50, 5432, "10-244-1-5.db.shop.svc.cluster.local."),
        Srv(0, 50, 5432, "10-244-1-6.db.shop.svc.cluster.local."),
    ]
    for name in ("_sql._udp.db", "_http._tcp.db", "_http._udp.web", "a.b.c.web"):
        assert ask(f"{name}.shop.svc.cluster.local.", records.SRV).rcode == records.NXDOMAIN


def test_external_names() -> None:
    index = cluster()
    for name, target in (("out", "example.com"), ("in", "web.shop.svc.cluster.local"), ("ip", "192.0.2.1")):
        add_service(index, name, {"type": "ExternalName", "externalName": target})
    add_service(index, "a", {"type": "ExternalName", "externalName": "b.shop.svc.cluster.local"})
    add_service(index, "b", {"type": "ExternalName", "externalName": "a.shop.svc.cluster.local"})
    out = ask("out.shop.svc.cluster.local.", index=index)
    assert (data(out), out.target) == (["example.com."], "example.com.")
    assert data(ask("in.shop.svc.cluster.local.", index=index)) == ["web.shop.svc.cluster.local.", "10.96.0.1"]
    assert ask("ip.shop.svc.cluster.local.", index=index).rcode == records.NXDOMAIN
    loop = ask("a.shop.svc.cluster.local.", index=index)
    assert (loop.rcode, loop.answer) == (records.NOERROR, ())
    assert ask("out.shop.svc.cluster.local.", records.SRV, index=index).answer == ()


@pytest.mark.parametrize(("links", "found"), [(8, 9), (9, 0)])
def test_a_chain_of_external_names_ends_somewhere(links: int, found: int) -> None:
    index = cluster()
    add_service(index, "x0", WEB)
    for n in range(1, links + 1):
        add_service(index, f"x{n}", {"type": "ExternalName", "externalName": f"x{n - 1}.shop.svc.cluster.local"})
    assert len(ask(f"x{links}.shop.svc.cluster.local.", index=index).answer) == found


def test_endpoints_without_ports_have_addresses_and_no_srv() -> None:
    index = cluster()
    meta = {"name": "db-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}}
    index.apply("MODIFIED", {"kind": "EndpointSlice", "metadata": meta, "endpoints": [{"addresses": ["10.244.1.5"]}]})
    assert data(ask("db.shop.svc.cluster.local.", index=index)) == ["10.244.1.5"]
    found = ask("db.shop.svc.cluster.local.", records.SRV, index=index)
    assert (found.rcode, found.answer) == (records.NOERROR, ())


def test_pods_verified_needs_a_pod_of_that_namespace() -> None:
    index, config = cluster(), Kubernetes(pods="verified")
    pod: dict[str, Any] = {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "shop"},
        "status": {"podIPs": [{"ip": "10.244.1.9"}]},
    }
    name = "10-244-1-9.shop.pod.cluster.local."
    assert ask(name, index=index, config=config).rcode == records.NXDOMAIN
    index.apply("ADDED", pod)
    assert data(ask(name, index=index, config=config)) == ["10.244.1.9"]
    assert ask("10-244-1-9.kube-system.pod.cluster.local.", index=index, config=config).rcode == records.NXDOMAIN
    leaving = {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": "2025-01-01T00:00:00Z"}}
    index.apply("MODIFIED", leaving)
    assert ask(name, index=index, config=config).rcode == records.NXDOMAIN


def test_pod_records_of_ipv6_addresses() -> None:
    found = ask("fd00--1.shop.pod.cluster.local.", records.AAAA)
    assert data(found) == ["fd00::1"]
    assert ask("fd00--1.shop.pod.cluster.local.").rcode == records.NOERROR


@pytest.mark.parametrize(
    ("name", "kind", "rcode"),
    [
        ("web.shop.svc.cluster.local.", records.MX, records.NOERROR),
        ("web.shop.svc.cluster.local.", records.ANY, records.NOERROR),
        ("nope.shop.svc.cluster.local.", records.MX, records.NXDOMAIN),
        ("shop.svc.cluster.local.", records.TXT, records.NXDOMAIN),  # CoreDNS's way with TXT
        ("dns-version.cluster.local.", records.A, records.NXDOMAIN),
        ("svc.cluster.local.", records.A, records.NOERROR),
        ("nope.svc.cluster.local.", records.A, records.NXDOMAIN),
        ("nope.cluster.local.", records.A, records.NXDOMAIN),
        ("shop.pod.cluster.local.", records.A, records.NOERROR),
    ],
)
def test_no_data_or_no_name(name: str, kind: int, rcode: int) -> None:
    found = ask(name, kind)
    assert (found.rcode, found.answer) == (rcode, ())
    assert [record.type for record in found.authority] == [records.SOA]
