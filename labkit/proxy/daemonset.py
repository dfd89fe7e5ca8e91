"""The DaemonSet by which kubeadm v1.34 runs kube-proxy on every node.

Source: cmd/kubeadm/app/phases/addons/proxy/manifests.go.
"""

from __future__ import annotations

from typing import Any

from labkit.proxy.metrics import VERSION

IMAGE = f"registry.k8s.io/kube-proxy:{VERSION}"
PROGRAM = "/usr/local/bin/kube-proxy"
LABELS = {"k8s-app": "kube-proxy"}


def daemon_set(name: str, namespace: str, config: str, program: str = PROGRAM) -> dict[str, Any]:
    """`config`: path of the file in the container, in a folder that is the ConfigMap called `name` too."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(LABELS)},
        "spec": {
            "selector": {"matchLabels": dict(LABELS)},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": dict(LABELS)}, "spec": _pod(name, config, program)},
        },
    }


def _pod(name: str, config: str, program: str) -> dict[str, Any]:
    folder = config.rpartition("/")[0]
    mounts = [
        {"name": name, "mountPath": folder},
        {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
        {"name": "lib-modules", "mountPath": "/lib/modules", "readOnly": True},
    ]
    container = {
        "name": name,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": [program, f"--config={config}", "--hostname-override=$(NODE_NAME)"],
        "securityContext": {"privileged": True},
        "volumeMounts": mounts,
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
    }
    return {
        "priorityClassName": "system-node-critical",
        "containers": [container],
        "hostNetwork": True,
        "serviceAccountName": name,
        "volumes": [
            {"name": name, "configMap": {"name": name}},
            {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
            {"name": "lib-modules", "hostPath": {"path": "/lib/modules"}},
        ],
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
    }
