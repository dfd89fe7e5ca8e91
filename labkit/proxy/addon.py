"""The kube-proxy add-on as kubeadm v1.34 ships it.

Source: cmd/kubeadm/app/phases/addons/proxy/proxy.go, manifests.go; componentconfigs/kubeproxy.go.
"""

from __future__ import annotations

from typing import Any

from labkit.proxy.daemonset import PROGRAM, daemon_set

Raw = dict[str, Any]

NAME, NAMESPACE = "kube-proxy", "kube-system"
CONFIG, KUBECONFIG = "config.conf", "kubeconfig.conf"
FOLDER = "/var/lib/kube-proxy"
ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_GROUP = "rbac.authorization.k8s.io"


def addon(config: str, server: str, program: str = PROGRAM) -> list[Raw]:
    """ServiceAccount, roles, ConfigMap, DaemonSet.

    config: the text of a KubeProxyConfiguration; server: URL of the API; program: what the pods run
    """
    metadata = {"name": NAME, "namespace": NAMESPACE}
    text = {CONFIG: config.rstrip("\n"), KUBECONFIG: kubeconfig(server)}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        *_roles(),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "labels": {"app": NAME}}, "data": text},
        daemon_set(NAME, NAMESPACE, f"{FOLDER}/{CONFIG}", program),
    ]


def kubeconfig(server: str, folder: str = ACCOUNT_FOLDER) -> str:
    """By it a proxy finds the API: the token and the authority's certificate lie in `folder`."""
    return f"""\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: {folder}/ca.crt
    server: {server}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: {folder}/token"""


def _roles() -> list[Raw]:
    base = {"apiVersion": f"{_GROUP}/v1"}
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}
    joining = {"apiGroup": _GROUP, "kind": "Group", "name": "system:bootstrappers:kubeadm:default-node-token"}
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["get"]}
    own = {"name": NAME, "namespace": NAMESPACE}
    return [
        {
            **base,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubeadm:node-proxier"},
            "roleRef": {"apiGroup": _GROUP, "kind": "ClusterRole", "name": "system:node-proxier"},
            "subjects": [subject],
        },
        {**base, "kind": "Role", "metadata": own, "rules": [rule]},
        {
            **base,
            "kind": "RoleBinding",
            "metadata": own,
            "roleRef": {"apiGroup": _GROUP, "kind": "Role", "name": NAME},
            "subjects": [joining],
        },
    ]
