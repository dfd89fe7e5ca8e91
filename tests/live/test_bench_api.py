"""`labkit bench api` asks a real lab."""

from __future__ import annotations

import pytest

from labkit import lab
from labkit.lab.bench import api, taking
from labkit.lab.bench.requests import Kubernetes


def test_the_labs_api_is_asked_over_tls(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with lab.start(nodes=1, name="bench-small", keep=True) as small:
        server = Kubernetes(small.kubeconfig)
        before = server.version()
        found = api.asked(server, api.Load(20, 30, 3, 2))
        assert all(value > 0 for value in found.values())
        assert server.version() >= before + 22
        pods = {pod["metadata"]["name"]: pod for pod in small.objects("Pod")}
        assert {f"pod-{i}" for i in range(20)} <= pods.keys()
        assert pods["pod-3"]["metadata"]["managedFields"]
        assert "nodeName" not in pods["pod-3"]["spec"]


@pytest.mark.sandbox("namespaces")  # of a kernel of its own the processes are not the host's
def test_the_control_process_is_found_by_name():
    with lab.start(nodes=1, name="bench-small") as small:
        assert taking.ticks(taking.named(small.facts["pid"], api.CONTROL)) > 0
