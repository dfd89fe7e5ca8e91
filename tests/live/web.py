"""Two pods behind a Service, and a client."""

from typing import Any

PORTS = [{"port": 80, "targetPort": 8080, "nodePort": 30080}]
WEB: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "agnhost", "args": ["netexec"]}]},
            },
        },
    },
    {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": PORTS},
    },
    {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"},
        "spec": {"containers": [{"name": "c", "image": "busybox", "command": ["sleep", "100000"]}]},
    },
]  # fmt: skip
