"""What k.rules shows of a Service in ipvs mode."""

from labkit.lab.ipvs_rules import serving
from labkit.net import ipset, ipvs

SERVERS = ipvs.parse("""
-A -t 10.96.0.10:80 -s rr
-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1
-A -u 10.96.0.10:80 -s rr
-A -t 10.96.0.11:80 -s rr
-A -t 172.18.1.2:30080 -s rr
-A -u 172.18.1.2:30080 -s rr
-A -t 192.0.2.1:80 -s rr
""")
SETS = ipset.parse("""
create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536
add KUBE-CLUSTER-IP 10.96.0.10,tcp:80
add KUBE-CLUSTER-IP 10.96.0.10,udp:80
add KUBE-CLUSTER-IP 10.96.0.11,tcp:80
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
add KUBE-NODE-PORT-TCP 30080
create KUBE-NODE-PORT-UDP bitmap:port range 0-65535
add KUBE-NODE-PORT-UDP 30080
create KUBE-HEALTH-CHECK-NODE-PORT bitmap:port range 0-65535
add KUBE-HEALTH-CHECK-NODE-PORT 30905
create KUBE-IPVS-IPS hash:ip family inet hashsize 1024 maxelem 65536
add KUBE-IPVS-IPS 10.96.0.10
add KUBE-IPVS-IPS 10.96.0.11
add KUBE-IPVS-IPS 192.0.2.1
""")
WEB = {
    "spec": {
        "clusterIPs": ["10.96.0.10"],
        "ports": [{"port": 80, "nodePort": 30080}],
        "healthCheckNodePort": 30905,
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
}


def test_the_service_s_own_and_nothing_else() -> None:
    rows = serving(WEB, SERVERS, SETS)
    assert {tuple(row) for row in rows} == {("TABLE", "CHAIN", "NUMBER", "RULE")}
    assert [(row["NUMBER"], row["RULE"]) for row in rows] == [
        (0, "-A -t 10.96.0.10:80 -s rr"),
        (1, "-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1"),
        (0, "-A -t 172.18.1.2:30080 -s rr"),
        (0, "-A -t 192.0.2.1:80 -s rr"),
        (0, "add KUBE-CLUSTER-IP 10.96.0.10,tcp:80"),
        (0, "add KUBE-NODE-PORT-TCP 30080"),
        (0, "add KUBE-HEALTH-CHECK-NODE-PORT 30905"),
        (0, "add KUBE-IPVS-IPS 10.96.0.10"),
        (0, "add KUBE-IPVS-IPS 192.0.2.1"),
    ]


def test_a_service_without_ports_or_addresses_has_nothing() -> None:
    assert serving({"spec": {"clusterIPs": ["None"]}}, SERVERS, SETS) == []
