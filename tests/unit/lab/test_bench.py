"""The figures of `labkit bench`: how they are told, and what is measured without a lab."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from labkit.errors import LabError
from labkit.lab.bench import api, connect, etcd, proxy, rounds
from labkit.lab.bench.report import Figure, Report, Row, figure

ROW = Row("a pod", "pod", 1000, "ms", "bare netlink", "bare", "2 x")


def test_a_figure_has_its_unit_its_target_and_what_stands_beside_it():
    told = Report((figure(ROW, {"pod": 0.004, "bare": 0.002}), figure(Row("idle", "idle", 1, "%"), {"idle": 3})))
    head, pod, idle = str(told).splitlines()
    assert head.split() == ["measured", "target", "beside"]
    assert pod.split("  ")[-1] == "2.00 x bare netlink"
    assert "4.00 ms" in pod
    assert idle.endswith("3.00 %")
    assert json.loads(told.as_json())[0]["ratio"] == 2.0


def test_what_was_not_measured_says_why():
    assert figure(ROW, {"pod": 0.004}, "it is not installed") == Figure(
        "a pod", 4.0, "ms", "2 x", "it is not installed"
    )


def test_hollow_nodes_run_all_pods_that_are_wanted(tmp_path):
    found = rounds.medians("hollow", 1, "7", "2", str(tmp_path))  # in a process: its state stays open
    assert found["writes"] > 7 * 6  # of each pod: itself, its node, its status, and the Events of all that
    assert found["hollow"] > 0


@pytest.mark.skipif(not etcd.installed(), reason="etcd is not installed")
def test_etcd_is_asked_what_the_lab_is_asked(tmp_path):
    with closing(etcd.Etcd(tmp_path)) as server:
        found = api.asked(server, api.Load(20, 30, 3, 2))
        assert found.keys() == {"create", "get", "list", "event"}
        with api.connected(server, 1) as [client]:
            assert json.loads(client.ask(server.every()))["count"] == "20"
            with pytest.raises(RuntimeError, match="answer 404"):
                client.ask(etcd.message("GET", "/v3/nothing"))


@pytest.mark.parametrize("sizes", [(), (0, 10), (10, 10), (1000, 10)])
def test_connecting_wants_sizes_that_grow(sizes):
    with pytest.raises(LabError, match="are no sizes that grow from 1 or more"):
        connect.connecting(["iptables"], sizes)


def test_what_is_not_measured_is_refused_with_what_is():
    with pytest.raises(
        LabError, match="'kernelspace' is not measured; these are: iptables, nftables, userspace, ipvs, ebpf"
    ):
        connect.connecting(["iptables", "kernelspace"])


def test_each_connection_stands_beside_the_one_without_kube_proxy_in_its_kernel():
    found = {f"{mode} {size}": 3e-5 for mode in connect.KERNELS for size in connect.SIZES}
    found |= {f"namespaces bare {size}": 2e-5 for size in connect.SIZES}
    found |= {f"uml bare {size}": 1e-5 for size in connect.SIZES}
    figures = proxy.told(found, ["connect"]).figures
    assert len(figures) == 5 * 4
    assert {round(f.ratio, 6) for f in figures if "(namespaces)" in f.name} == {1.5}
    assert {round(f.ratio, 6) for f in figures if "(uml)" in f.name} == {3.0}
    assert figures[3].name == "connect to the last of 10000 Services, iptables (namespaces)"
