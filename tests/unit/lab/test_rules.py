from labkit.lab.rules import serving
from labkit.net.rules import ruleset

TO_PORT = "-m tcp --dport 80"
RULES = ruleset(
    {
        "nat": {
            "KUBE-SERVICES": [
                f'-d 10.96.0.7/32 -p tcp -m comment --comment "shop/web-2:http cluster IP" {TO_PORT} -j KUBE-SVC-OTHER',
                f'-d 10.96.0.8/32 -p tcp -m comment --comment "shop/web:http cluster IP" {TO_PORT} -j KUBE-SVC-WEB',
                f'-d 10.96.0.9/32 -p tcp -m comment --comment "shop/bare cluster IP" {TO_PORT} -j KUBE-SVC-BARE',
            ],
            "KUBE-SVC-WEB": ["-m statistic --mode random --probability 0.5 -j KUBE-SEP-1", "-j KUBE-SEP-2"],
            "KUBE-SEP-1": ["-j DNAT --to-destination 10.244.1.2:8080"],
            "KUBE-SEP-2": ["-j DNAT --to-destination 10.244.2.2:8080"],
            "KUBE-SVC-OTHER": ["-j KUBE-SEP-1"],
            "KUBE-SVC-BARE": [],
            "KUBE-NODEPORTS": ['-p tcp -m comment --comment "shop/bare" -m tcp --dport 30080 -j KUBE-EXT-BARE'],
            "KUBE-EXT-BARE": ["-j KUBE-SVC-BARE"],
        }
    }
)


def test_a_service_s_rules_come_in_the_order_of_evaluation() -> None:
    rows = serving(RULES, "shop/web")
    assert [(r["CHAIN"], r["NUMBER"]) for r in rows] == [
        ("KUBE-SERVICES", 2),
        ("KUBE-SVC-WEB", 1),
        ("KUBE-SVC-WEB", 2),
        ("KUBE-SEP-1", 1),
        ("KUBE-SEP-2", 1),
    ]


def test_names_that_begin_alike_are_kept_apart_and_a_port_may_have_no_name() -> None:
    assert [r["CHAIN"] for r in serving(RULES, "shop/web-2")] == ["KUBE-SERVICES", "KUBE-SVC-OTHER", "KUBE-SEP-1"]
    bare = [(r["CHAIN"], r["NUMBER"]) for r in serving(RULES, "shop/bare")]
    assert bare == [("KUBE-SERVICES", 3), ("KUBE-NODEPORTS", 1), ("KUBE-EXT-BARE", 1)]
    assert serving(RULES, "shop/we") == []
    assert serving(RULES, "shop/bar") == []


def test_rules_of_other_modes() -> None:
    named = '-p tcp -m comment --comment "shop/web:http" -m tcp --dport'
    portal = f"-d 10.96.0.8/32 {named} 80 -j REDIRECT --to-ports 41000"
    hns = '-d 10.96.0.8/32 -m comment --comment "shop/web:http HNS load balancer 1" -j LABKIT-HNS-1'
    found = ruleset(
        {
            "nat": {
                "KUBE-PORTALS-CONTAINER": [portal],
                "KUBE-NODEPORT-HOST": [f"{named} 30080 -j DNAT --to-destination 172.18.1.11:41000"],
                "LABKIT-HNS-LB": [hns],
                "LABKIT-HNS-1": ["-j MARK --set-xmark 0x4000/0x4000"],
            }
        }
    )
    chains = ["KUBE-PORTALS-CONTAINER", "KUBE-NODEPORT-HOST", "LABKIT-HNS-LB", "LABKIT-HNS-1"]
    assert [row["CHAIN"] for row in serving(found, "shop/web")] == chains
