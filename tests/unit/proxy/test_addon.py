"""The add-on as kubeadm makes it."""

import yaml

from labkit.api import schema
from labkit.proxy.addon import addon
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.text import read, written


def test_the_objects() -> None:
    config = KubeProxyConfiguration(mode="nftables", cluster_cidr="10.244.0.0/16")
    found = {raw["kind"]: raw for raw in addon(written(config), "https://172.18.1.11:6443")}
    assert sorted(found) == ["ClusterRoleBinding", "ConfigMap", "DaemonSet", "Role", "RoleBinding", "ServiceAccount"]
    data = found["ConfigMap"]["data"]
    assert read(data["config.conf"]) == (config, [])
    pod = found["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == [
        "/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=$(NODE_NAME)",
    ]  # fmt: skip
    assert pod["containers"][0]["volumeMounts"][0] == {"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}
    assert schema.problems(found["DaemonSet"]) == []
    kubeconfig = yaml.safe_load(data["kubeconfig.conf"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://172.18.1.11:6443"
    assert found["ClusterRoleBinding"]["roleRef"]["name"] == "system:node-proxier"
