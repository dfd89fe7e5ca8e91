"""The DNS add-on as kubeadm v1.34 ships it: CoreDNS as objects to be created in the cluster.

Source: cmd/kubeadm/app/phases/addons/dns/manifests.go and constants.go (CoreDNSVersion) of kubeadm v1.34.
"""

from __future__ import annotations

from typing import Any

from labkit.dns import corefile

IMAGE = "registry.k8s.io/coredns/coredns:v1.12.1"
REPLICAS = 2
LABELS = {"k8s-app": "kube-dns"}


def addon(cluster_domain: str = "cluster.local", cluster_ip: str = "10.96.0.10") -> list[dict[str, Any]]:
    """ServiceAccount, roles, ConfigMap, Service, Deployment, in the order in which they can be created."""
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("coredns")},
        *_roles(),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _meta("coredns"),
            "data": {"Corefile": corefile.default(cluster_domain)},
        },
        _service(cluster_ip),
        _deployment(),
    ]


def _meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "kube-system", **more}


def _roles() -> list[dict[str, Any]]:
    name, group = "system:coredns", "rbac.authorization.k8s.io"
    core = {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    subject = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    ref = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    base = {"apiVersion": f"{group}/v1", "metadata": {"name": name}}
    return [
        {**base, "kind": "ClusterRole", "rules": [core, slices]},
        {**base, "kind": "ClusterRoleBinding", "roleRef": ref, "subjects": [subject]},
    ]


def _service(cluster_ip: str) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
        {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
    ]
    labels = {**LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    notes = {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _meta("kube-dns", labels=labels, annotations=notes),
        "spec": {"clusterIP": cluster_ip, "ports": ports, "selector": dict(LABELS)},
    }


def _deployment() -> dict[str, Any]:
    spec = {
        "replicas": REPLICAS,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        "selector": {"matchLabels": dict(LABELS)},
        "template": {"metadata": {"labels": dict(LABELS)}, "spec": _pod_spec()},
    }
    meta = _meta("coredns", labels=dict(LABELS))
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def _pod_spec() -> dict[str, Any]:
    apart = {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]}
    term = {"labelSelector": apart, "topologyKey": "kubernetes.io/hostname"}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    corefile_volume = {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}
    return {
        "priorityClassName": "system-cluster-critical",
        "serviceAccountName": "coredns",
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [_container()],
        "dnsPolicy": "Default",
        "volumes": [{"name": "config-volume", "configMap": corefile_volume}],
    }


def _container() -> dict[str, Any]:
    ports = [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP")]
    ports += [("liveness-probe", 8080, "TCP"), ("readiness-probe", 8181, "TCP")]
    page = {"path": "/health", "port": "liveness-probe", "scheme": "HTTP"}
    times = {"initialDelaySeconds": 60, "timeoutSeconds": 5, "successThreshold": 1, "failureThreshold": 5}
    capabilities = {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}
    return {
        "name": "coredns",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}],
        "ports": [{"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in ports],
        "livenessProbe": {"httpGet": page, **times},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "readiness-probe", "scheme": "HTTP"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": capabilities,
            "readOnlyRootFilesystem": True,
        },
    }
