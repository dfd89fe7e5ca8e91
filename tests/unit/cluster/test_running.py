"""What a pod is to its node, by its images."""

import pytest

from labkit.api.objects import Pod, view
from labkit.cluster.kubelet.running import Running
from labkit.net.place import Place

PROXY = {"name": "kube-proxy", "image": "registry.k8s.io/kube-proxy:v1.34.0"}
OTHER = {"name": "log", "image": "busybox"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostNetwork": True, "containers": [PROXY]}, "kube-proxy"),
        ({"hostNetwork": True, "containers": [OTHER, {**PROXY, "name": "it"}]}, "it"),
        ({"containers": [PROXY]}, ""),  # it has a network of its own: no node would notice
        ({"hostNetwork": True, "containers": [OTHER]}, ""),
        ({"hostNetwork": True, "containers": [{**OTHER, "image": "kube-proxy-exporter:1"}]}, ""),
    ],
)
def test_which_container_is_a_nodes_kube_proxy(spec: object, expected: str) -> None:
    pod = view({"kind": "Pod", "metadata": {"name": "p"}, "spec": spec}, Pod)
    assert Running(pod, Place("default/p", "pod", "/run/netns/p")).proxy == expected
