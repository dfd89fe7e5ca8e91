"""The add-on as kubeadm makes it."""

import yaml

from labkit.proxy.addon import addon
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.text import read, written


def test_the_objects() -> None:
    config = KubeProxyConfiguration(mode="nftables", cluster_cidr="10.244.0.0/16")
    found = {raw["kind"]: raw for raw in addon(written(config), "https://172.18.1.11:6443")}
    assert sorted(found) == ["ClusterRoleBinding", "ConfigMap", "Role", "RoleBinding", "ServiceAccount"]
    data = found["ConfigMap"]["data"]
    assert read(data["config.conf"]) == (config, [])
    kubeconfig = yaml.safe_load(data["kubeconfig.conf"])
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://172.18.1.11:6443"
    assert found["ClusterRoleBinding"]["roleRef"]["name"] == "system:node-proxier"
