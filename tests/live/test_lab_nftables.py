"""A whole lab whose nodes run kube-proxy in nftables mode; and where there can be none, it says so."""

import pytest
from bookinfo import differences
from inside import NFT
from labs import SHOP

from labkit import lab
from labkit.errors import MissingFeature


@NFT
def test_a_lab_in_nftables_mode() -> None:
    with lab.start(name="nftables", proxy_mode="nftables") as k:
        k.apply(SHOP)
        k.wait()
        client = k.pod("shop/client")
        for url in ("http://web", "http://api:8080", "http://web.shop.svc.cluster.local"):
            rows = client.get(url, n=30)
            assert set(rows["error"]) == {""}, rows
        assert "KUBE-SERVICES" not in k.node("node-1").run("iptables-save").stdout
        rules = k.rules("node-1", "shop/web")
        assert rules["CHAIN"][0] == "service-ips"
        web = k.get("deploy/web", "shop")["spec"]["replicas"]
        assert rules["RULE"].str.startswith("meta l4proto tcp dnat to ").sum() == web
        path = k.trace("client", "http://web", namespace="shop")
        assert (path.outcome, path.lost) == ("200", 0)
        (there,) = (r for r in path.rewrites if r.action == "DNAT")
        assert there.rule in set(rules["RULE"])
        refused = k.trace("client", "http://nobody", namespace="shop")
        assert refused.outcome == "rejected by rule 1 of reject-chain (kube-proxy) on node-1"
        assert differences(k, "nftables") == []


@pytest.mark.sandbox("uml")
def test_a_kernel_that_has_no_nftables_for_ip_packets() -> None:
    with pytest.raises(MissingFeature, match=r'nftables .*sandbox="namespaces" uses this machine') as error:
        lab.start(nodes=1, proxy_mode="nftables", sandbox="uml")
    assert list(error.value.details["missing"]) == ["nftables"]
