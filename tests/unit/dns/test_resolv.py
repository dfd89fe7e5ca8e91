from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import Pod, view
from labkit.dns.resolv import ResolvConf, hostname, hosts, read, resolv_conf

NODE = "nameserver 172.18.0.1\nnameserver 172.18.0.2\nsearch lab.example. corp.example\noptions edns0 trust-ad\n"
CLUSTER = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


def pod(name: str = "web-0", **spec: Any) -> Pod:
    return view({"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}, Pod)


def test_cluster_first_to_the_letter() -> None:
    assert resolv_conf(pod(), "10.96.0.10").text() == (
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
    )


def test_the_nodes_searches_follow_the_clusters() -> None:
    found = resolv_conf(pod(), "10.96.0.10", node=NODE)
    assert found == ResolvConf(("10.96.0.10",), (*CLUSTER, "lab.example", "corp.example"), ("ndots:5",))


def test_default_is_the_nodes_own() -> None:
    assert resolv_conf(pod(dnsPolicy="Default"), "10.96.0.10", node=NODE) == read(NODE)
    assert resolv_conf(pod(hostNetwork=True), "10.96.0.10", node=NODE) == read(NODE)


def test_cluster_first_with_host_net() -> None:
    found = resolv_conf(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), "10.96.0.10")
    assert found == ResolvConf(("10.96.0.10",), CLUSTER, ("ndots:5",))


def test_none_is_what_dns_config_says() -> None:
    config = {"nameservers": ["192.0.2.1"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}]}
    config["options"].append({"name": "edns0"})  # type: ignore[attr-defined]
    found = resolv_conf(pod(dnsPolicy="None", dnsConfig=config), "10.96.0.10", node=NODE)
    assert found.text() == "search a.b\nnameserver 192.0.2.1\noptions ndots:2 edns0\n"


def test_dns_config_adds_and_overwrites() -> None:
    config = {
        "nameservers": ["10.96.0.10", "192.0.2.1"],
        "searches": ["svc.cluster.local", "a.b"],
        "options": [{"name": "ndots", "value": "2"}],
    }
    found = resolv_conf(pod(dnsConfig=config), "10.96.0.10")
    assert found == ResolvConf(("10.96.0.10", "192.0.2.1"), (*CLUSTER, "a.b"), ("ndots:2",))


DOMAIN = st.text("abc.", min_size=1, max_size=300)


@given(st.lists(DOMAIN, max_size=60), st.lists(st.just("192.0.2.1") | st.just("192.0.2.2"), max_size=5))
def test_limits(searches: list[str], servers: list[str]) -> None:
    config = {"searches": searches, "nameservers": [*servers, "192.0.2.3", "192.0.2.4"]}
    found = resolv_conf(pod(dnsConfig=config), "10.96.0.10")
    assert len(found.searches) <= 32 and len(" ".join(found.searches)) <= 2048
    assert len(found.nameservers) == min(3, 3 + len(set(servers)))
    assert all(len(domain) <= 253 for domain in found.searches)
    assert found.searches[:3] == CLUSTER


def test_hosts_to_the_letter() -> None:
    aliases = [{"ip": "127.0.0.1", "hostnames": ["foo.local", "bar.local"]}]
    found = hosts(pod(hostAliases=aliases), ["10.244.1.4", "fd00::4"])
    assert found == (
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        "10.244.1.4\tweb-0\nfd00::4\tweb-0\n\n# Entries added by HostAliases.\n127.0.0.1\tfoo.local\tbar.local\n"
    )


def test_hosts_with_a_subdomain_and_on_the_hosts_network() -> None:
    named = hosts(pod(hostname="db", subdomain="sql"), ["10.244.1.4"])
    assert named.endswith("10.244.1.4\tdb.sql.shop.svc.cluster.local\tdb\n")
    shared = hosts(pod(hostNetwork=True), ["172.18.1.1"], node="127.0.0.1\tlocalhost\n")
    assert shared == "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n"


def test_hostname() -> None:
    assert hostname(pod()) == "web-0"
    assert hostname(pod(hostname="db")) == "db"
    assert hostname(pod("a" * 62 + "-b")) == "a" * 62
    assert hostname(pod("a" * 64)) == "a" * 63
