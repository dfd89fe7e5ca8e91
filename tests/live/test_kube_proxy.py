"""kube-proxy on a lab's nodes: what it is told, what it tells of itself, and what it makes of others' interference."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from inside import NFT
from labs import errors, wait_until
from web import WEB

from labkit import lab
from labkit.errors import LabError
from labkit.lab import Lab

CURL = "curl -s -m 5 -w '\\n%{{http_code}} %{{content_type}}' http://{}"


@pytest.fixture(scope="module", params=[pytest.param("nft", marks=NFT), "legacy"])
def k(request: pytest.FixtureRequest) -> Iterator[Lab]:
    config = {"iptables": {"syncPeriod": "1s"}, "metricsBindAddress": "0.0.0.0:10249", "logging": {"verbose": 2}}
    with pytest.warns(UserWarning, match='strict decoding error: unknown field "logging.verbose"'):
        starting = lab.start(nodes=2, name="kube-proxy", iptables=request.param, proxy_config=config)
    with starting as started:
        started.apply(WEB)
        started.wait()
        yield started


def page(k: Lab, address: str, node: str = "node-1") -> tuple[str, int, str]:
    """Body, status and type of a page, asked for on the node."""
    body, _, end = k.node(node).run(CURL.format(address), check=True).stdout.rpartition("\n")
    status, _, kind = end.partition(" ")
    return body, int(status), kind


def figure(k: Lab, name: str, node: str = "node-1") -> float:
    """One line of the metrics, with its labels as they are written there."""
    lines = page(k, "localhost:10249/metrics", node)[0].splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name), 0.0)


def test_pages(k: Lab) -> None:
    assert page(k, "localhost:10249/proxyMode") == ("iptables", 200, "text/plain; charset=utf-8")
    assert page(k, "localhost:10249/healthz")[:2] == ("ok", 200)
    assert page(k, "localhost:10249/nothing")[:2] == ("404 page not found\n", 404)
    body, status, kind = page(k, "localhost:10256/healthz")
    assert (status, kind, json.loads(body)["nodeEligible"]) == (200, "application/json", True)
    configz = json.loads(page(k, "localhost:10249/configz")[0])["kubeproxy.config.k8s.io"]
    assert configz["iptables"]["syncPeriod"] == "1s"
    assert configz["clusterCIDR"] == "10.244.0.0/16"
    told = yaml.safe_load(k.get("configmap/kube-proxy", "kube-system")["data"]["config.conf"])
    assert told["metricsBindAddress"] == "0.0.0.0:10249"
    # from elsewhere too, as the configuration has it
    rows = k.pod("client").get("http://172.18.1.11:10249/metrics")
    assert rows.iloc[0]["status"] == 200


def test_a_node_about_to_go_is_not_fit(k: Lab) -> None:
    tainted = [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-2"}}
    k.apply({**node, "spec": {"taints": tainted}}, server_side=True)
    told, status, _ = page(k, "localhost:10256/healthz", "node-2")
    assert (status, json.loads(told)["nodeEligible"], json.loads(told)["healthy"]) == (503, False, True)
    assert page(k, "localhost:10256/livez", "node-2")[1] == 200
    k.apply(node, server_side=True)
    assert page(k, "localhost:10256/healthz", "node-2")[1] == 200
    assert figure(k, 'kubeproxy_proxy_healthz_total{code="503"}', "node-2") == 1


def test_what_is_counted(k: Lab) -> None:
    rules = k.node("node-1").run("iptables-save -t nat | grep -c '^-A'").stdout
    counted = figure(k, 'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"}')
    assert 0 < counted <= int(rules)
    before = figure(k, 'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"}')
    changes = figure(k, "kubeproxy_sync_proxy_rules_service_changes_total")
    local = {"internalTrafficPolicy": "Local", "selector": {"app": "nobody"}, "ports": [{"port": 80}]}
    k.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "local"}, "spec": local})
    k.wait()
    assert figure(k, "kubeproxy_sync_proxy_rules_service_changes_total") > changes
    assert figure(k, "kubeproxy_sync_proxy_rules_service_changes_pending") == 0
    after = figure(k, 'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"}')
    assert after > before
    k.delete("svc/local")


def test_how_long_a_change_takes_to_be_in_force_is_counted_from_what_led_to_it(k: Lab) -> None:
    """Slices tell whole seconds, and what was before the proxy's start, the node's here, does not count."""
    started = datetime.fromisoformat(k.get("node/node-1", None)["metadata"]["creationTimestamp"]) + timedelta(seconds=2)
    wait_until(lambda: datetime.now(UTC) >= started, 3, "another second")
    programmed = 'kubeproxy_network_programming_duration_seconds_{}{{ip_family="IPv4"}}'
    before = figure(k, programmed.format("count"), "node-2"), figure(k, programmed.format("sum"), "node-2")
    k.scale("deployment/web", 3)
    k.wait("deployment/web")
    (web,) = [s for s in k.objects("endpointslices") if s["metadata"]["name"].startswith("web-")]
    pods = [p for p in k.objects("pods") if p["metadata"]["name"].startswith("web-")]
    since = [c["lastTransitionTime"] for p in pods for c in p["status"]["conditions"] if c["type"] == "Ready"]
    noted = "endpoints.kubernetes.io/last-change-trigger-time"
    assert web["metadata"]["annotations"] == {noted: max(since)}
    assert k.get("endpoints/web")["metadata"]["annotations"] == {noted: max(since)}
    assert figure(k, programmed.format("count"), "node-2") > before[0]
    assert figure(k, programmed.format("sum"), "node-2") > before[1]
    k.scale("deployment/web", 2)
    k.wait("deployment/web")


@pytest.mark.parametrize("how", ["-D", "-F", "-X"])
def test_a_rule_deleted_by_hand_is_back_without_any_change(k: Lab, how: str) -> None:
    node = k.node("node-1")
    chain = next(line.split()[0][1:] for line in saved(k) if line.startswith(":KUBE-SVC-"))
    before = saved(k)
    if how == "-D":
        node.run(f"iptables -t nat -D {chain} 1", check=True)
    elif how == "-F":
        node.run("iptables -t nat -F KUBE-SERVICES", check=True)
    else:
        node.run("iptables -t nat -D PREROUTING 1; iptables -t nat -N EVIL", check=True)
    wait_until(lambda: [line for line in saved(k) if "EVIL" not in line] == before, 10, "the repair")
    node.run("iptables -t nat -X EVIL")
    assert errors(k.pod("client").get("http://web/", n=20)) == []


def saved(k: Lab) -> list[str]:
    """The nat table without comments and counters, its built-in chains' policies apart."""
    lines = k.node("node-1").run("iptables-save -t nat", check=True).stdout.splitlines()
    return sorted(line.partition(" [")[0] for line in lines if not line.startswith("#"))


def test_a_change_is_in_force_after_a_restart(k: Lab) -> None:
    config_map = k.get("configmap/kube-proxy", "kube-system")
    told = yaml.safe_load(config_map["data"]["config.conf"])
    told["iptables"]["masqueradeBit"] = 5
    told["iptables"]["minSyncPeriods"] = "1s"
    told["nodePortAddresses"] = ["primary"]
    write(k, config_map, told)
    assert "0x4000/0x4000" in k.node("node-1").run("iptables-save -t nat").stdout, "not before"
    load = k.pod("client").get("http://web/", n=5)
    k.node("node-1").proxy.restart()
    rules = k.node("node-1").run("iptables-save -t nat").stdout
    assert "0x20/0x20" in rules and "0x4000" not in rules
    assert "-d 172.18.1.11/32 -m comment" in rules
    assert "0x4000/0x4000" in k.node("node-2").run("iptables-save -t nat").stdout, "not that of another node"
    assert errors(load) == errors(k.pod("client").get("http://web/", n=20)) == []
    lines = [line.partition("] ")[2] for line in k.node("node-1").proxy.log.splitlines()]
    lenient = '"Using lenient decoding as strict decoding failed" err="strict decoding error: '
    assert [line for line in lines if line.startswith((lenient, '"Version info"'))] == [
        f'{lenient}unknown field \\"logging.verbose\\""', '"Version info" version="v1.34.0"',
        f'{lenient}unknown field \\"iptables.minSyncPeriods\\", unknown field \\"logging.verbose\\""',
        '"Version info" version="v1.34.0"',
    ]  # fmt: skip
    assert "Starting" in list(k.events()["REASON"])
    write(k, config_map, {**told, "mode": "ipvss"})
    with pytest.raises(LabError, match="must be iptables, ipvs, nftables or blank"):
        k.node("node-1").proxy.restart()
    assert k.node("node-1").proxy.state["healthy"]
    assert page(k, "localhost:10249/proxyMode")[0] == "iptables"
    write(k, config_map, told)


def proxy_pod(k: Lab, node: str) -> dict[str, Any]:
    """The pod that is a node's kube-proxy."""
    pods = [p for p in k.objects("pods", "kube-system") if p["metadata"]["name"].startswith("kube-proxy-")]
    (found,) = [p for p in pods if p["spec"].get("nodeName") == node and "deletionTimestamp" not in p["metadata"]]
    return found


def endpoints(k: Lab, node: str) -> int:
    """How many of the Service web a node's rules know."""
    return k.node(node).run("iptables-save -t nat", check=True).stdout.count('"default/web -> ')


def test_its_pod_is_the_proxy(k: Lab) -> None:
    """The log, the life, the restarts; what is in the kernel stays while there is none."""
    k.wait("daemonset/kube-proxy", "kube-system")
    pod = proxy_pod(k, "node-2")
    assert pod["status"]["podIP"] == "172.18.2.12"
    assert k.logs(pod["metadata"]["name"], "kube-system") == k.node("node-2").proxy.log
    found = k.get("daemonset/kube-proxy", "kube-system")
    daemons = {name: found[name] for name in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "kube-proxy"}}
    elsewhere = copy.deepcopy(daemons)
    elsewhere["spec"]["template"]["spec"]["nodeSelector"]["kubernetes.io/hostname"] = "node-1"
    k.apply(elsewhere, "kube-system")
    k.wait("daemonset/kube-proxy", "kube-system")
    with pytest.raises(LabError, match="no kube-proxy of the lab runs on 'node-2'"):
        _ = k.node("node-2").proxy.state
    with pytest.raises(LabError, match="no pod of kube-proxy runs on 'node-2'"):
        k.node("node-2").proxy.restart()
    assert k.node("node-2").run("curl -s localhost:10249/proxyMode").code == 7, "nobody listens"
    k.scale("deployment/web", 3)
    k.wait("deployment/web")
    assert (endpoints(k, "node-1"), endpoints(k, "node-2")) == (3, 2)
    assert errors(k.pod("client").get("http://web/", n=20)) == []
    k.apply(daemons, "kube-system")
    k.wait("daemonset/kube-proxy", "kube-system")
    assert endpoints(k, "node-2") == 3
    assert proxy_pod(k, "node-2")["metadata"]["uid"] != pod["metadata"]["uid"]
    k.node("node-2").fail()
    with pytest.raises(LabError, match="node-2 is cut off: nothing there can be restarted until it is back"):
        k.node("node-2").proxy.restart()
    k.node("node-2").recover()
    k.wait("node/node-2")
    k.scale("deployment/web", 2)
    k.wait("deployment/web")


def test_one_that_cannot_read_its_configuration_is_started_again_and_again(k: Lab) -> None:
    config_map = k.get("configmap/kube-proxy", "kube-system")
    told = yaml.safe_load(config_map["data"]["config.conf"])
    write(k, config_map, {**told, "mode": "ipvss"})
    k.delete(f"pod/{proxy_pod(k, 'node-2')['metadata']['name']}", "kube-system")

    def status() -> dict[str, Any]:
        found: dict[str, Any] = proxy_pod(k, "node-2")["status"]["containerStatuses"][0]
        return found

    wait_until(lambda: status()["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff", 10, "the back-off")
    assert status()["lastState"]["terminated"]["exitCode"] == 1
    assert "must be iptables, ipvs, nftables or blank" in k.logs(
        proxy_pod(k, "node-2")["metadata"]["name"], "kube-system"
    )
    write(k, config_map, told)
    k.delete(f"pod/{proxy_pod(k, 'node-2')['metadata']['name']}", "kube-system")
    k.wait("daemonset/kube-proxy", "kube-system")
    assert page(k, "localhost:10249/proxyMode", "node-2")[0] == "iptables"


def write(k: Lab, config_map: dict[str, Any], told: dict[str, Any]) -> None:
    data = {**config_map["data"], "config.conf": yaml.safe_dump(told)}
    k.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-proxy"}, "data": data}, "kube-system")


@pytest.mark.sandbox("namespaces")  # User-Mode Linux has no nftables for IP packets
def test_a_proxy_that_comes_back_in_another_mode_cleans_up_after_the_first() -> None:
    with lab.start(nodes=2, name="modes") as k:
        k.apply(WEB)
        k.wait()
        config_map = k.get("configmap/kube-proxy", "kube-system")
        told = yaml.safe_load(config_map["data"]["config.conf"])
        has = {
            "nftables": "nft list table ip kube-proxy | grep -c service-",
            "userspace": "iptables-save | grep -c KUBE-PORTALS",
            "iptables": "iptables-save | grep -c KUBE-SVC",
        }
        for mode in ("nftables", "userspace", "iptables"):
            write(k, config_map, {**told, "mode": mode})
            for node in ("node-1", "node-2"):
                k.node(node).proxy.restart()
                there = {other: k.node(node).run(command).stdout.strip() != "0" for other, command in has.items()}
                there["nftables"] = k.node(node).run("nft list table ip kube-proxy").code == 0
                assert there == {other: other == mode for other in has}, mode
            assert errors(k.pod("client").get("http://web/", n=20)) == [], mode
            assert page(k, "localhost:10249/proxyMode")[0] == mode
