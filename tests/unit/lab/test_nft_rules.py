"""What in nftables mode serves one Service, told from `nft list table`."""

from labkit.lab.nft_rules import serving

LISTING = """table ip kube-proxy {
    comment "rules for kube-proxy"
    map no-endpoint-services {
        type ipv4_addr . inet_proto . inet_service : verdict
        elements = { 10.96.0.9 . tcp . 80 comment "shop/bare" : goto reject-chain,
                 10.96.0.8 . tcp . 81 comment "shop/web:more" : drop }
    }

    map service-ips {
        type ipv4_addr . inet_proto . inet_service : verdict
        elements = { 10.96.0.7 . tcp . 80 : goto service-AAAAAAAA-shop/web-2/tcp/http,
                 10.96.0.8 . tcp . 80 : goto service-BBBBBBBB-shop/web/tcp/http }
    }

    map service-nodeports {
        type inet_proto . inet_service : verdict
    }

    chain services {
        ip daddr . meta l4proto . th dport vmap @service-ips
    }

    chain endpoint-CCCCCCCC-shop/web/tcp/http__10.244.1.2/8080 {
        ip saddr 10.244.1.2 jump mark-for-masquerade
        meta l4proto tcp dnat to 10.244.1.2:8080
    }

    chain service-BBBBBBBB-shop/web/tcp/http {
        numgen random mod 1 vmap { 0 : goto endpoint-CCCCCCCC-shop/web/tcp/http__10.244.1.2/8080 }
    }
}
""".replace("    ", "\t")


def told(service: str) -> list[tuple[object, object]]:
    return [(row["CHAIN"], row["NUMBER"]) for row in serving(LISTING, service)]


def test_elements_then_chains_in_the_order_of_evaluation() -> None:
    assert told("shop/web") == [
        ("no-endpoint-services", 0),
        ("service-ips", 0),
        ("service-BBBBBBBB-shop/web/tcp/http", 1),
        ("endpoint-CCCCCCCC-shop/web/tcp/http__10.244.1.2/8080", 1),
        ("endpoint-CCCCCCCC-shop/web/tcp/http__10.244.1.2/8080", 2),
    ]
    rules = [row["RULE"] for row in serving(LISTING, "shop/web")]
    assert rules[1] == "10.96.0.8 . tcp . 80 : goto service-BBBBBBBB-shop/web/tcp/http"
    assert rules[4] == "meta l4proto tcp dnat to 10.244.1.2:8080"


def test_names_that_begin_alike_are_kept_apart() -> None:
    assert told("shop/web-2") == [("service-ips", 0)]
    assert told("shop/bare") == [("no-endpoint-services", 0)]
    assert told("shop/we") == told("shop/bar") == told("op/web") == []


def test_no_table() -> None:
    assert serving("", "shop/web") == []


def test_endpoints_are_in_the_order_of_their_addresses() -> None:
    rule = "meta l4proto tcp dnat to 10.244.1.1:8080"
    later = f"\tchain endpoint-DDDDDDDD-shop/web/tcp/http__10.244.1.1/8080 {{\n\t\t{rule}\n\t}}\n"
    listing = LISTING.removesuffix("}\n") + "\n" + later + "}\n"
    chains = [str(row["CHAIN"]) for row in serving(listing, "shop/web") if str(row["CHAIN"]).startswith("endpoint-")]
    assert [chain.partition("__")[2] for chain in chains] == ["10.244.1.1/8080", "10.244.1.2/8080", "10.244.1.2/8080"]
