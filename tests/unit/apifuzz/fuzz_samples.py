"""A small good object of every kind that is stored, and of one custom kind: what fuzzing begins with."""

from __future__ import annotations

from typing import Any

Raw = dict[str, Any]

LABELS = {"app": "web"}
SELECTOR = {"matchLabels": LABELS}
CONTAINER = {
    "name": "main",
    "image": "nginx:1.27",
    "ports": [{"containerPort": 80, "name": "http"}],
    "env": [{"name": "A", "value": "b"}],
    "resources": {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
    "readinessProbe": {"httpGet": {"port": "http", "path": "/"}},
}
POD = {"containers": [CONTAINER]}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": POD}
ONCE = {"metadata": {"labels": LABELS}, "spec": {**POD, "restartPolicy": "Never"}}
SUBJECT = {"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}
ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
PERSISTENT = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
INVOLVED = {"kind": "Pod", "namespace": "default", "name": "a"}

PARTS: dict[str, Raw] = {
    "APIService": {
        "spec": {"group": "b.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10,
                 "service": {"namespace": "default", "name": "web"}, "insecureSkipTLSVerify": True},
    },
    "ClusterRole": {"rules": [RULE]},
    "ClusterRoleBinding": {"roleRef": ROLE_REF, "subjects": [SUBJECT]},
    "ConfigMap": {"data": {"a": "b"}, "binaryData": {"c": "aGk="}},
    "ControllerRevision": {"revision": 1, "data": {"spec": {}}},
    "CronJob": {"spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": ONCE}}}},
    "DaemonSet": {"spec": {"selector": SELECTOR, "template": TEMPLATE}},
    "Deployment": {"spec": {"replicas": 2, "selector": SELECTOR, "template": TEMPLATE}},
    "EndpointSlice": {"addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
                      "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]},
    "Endpoints": {"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]},
    "Event": {"involvedObject": INVOLVED, "reason": "Tested", "message": "said", "type": "Normal"},
    "HorizontalPodAutoscaler": {
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "a", "apiVersion": "apps/v1"}},
    },
    "IPAddress": {"spec": {"parentRef": {"resource": "services", "name": "a", "namespace": "default"}}},
    "Ingress": {"spec": {"rules": [{"host": "a.example", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]}},
    "IngressClass": {"spec": {"controller": "example.com/ingress"}},
    "Job": {"spec": {"template": ONCE, "completions": 2}},
    "Lease": {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 10}},
    "LimitRange": {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}, "max": {"cpu": "2"}}]}},
    "Namespace": {},
    "NetworkPolicy": {"spec": {"podSelector": SELECTOR, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}},
    "Node": {"spec": {}, "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "9"}}},
    "PersistentVolume": {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
                                  "hostPath": {"path": "/data"}}},
    "PersistentVolumeClaim": {"spec": PERSISTENT},
    "Pod": {"spec": POD},
    "PodDisruptionBudget": {"spec": {"selector": SELECTOR, "minAvailable": 1}},
    "PriorityClass": {"value": 10},
    "ReplicaSet": {"spec": {"replicas": 1, "selector": SELECTOR, "template": TEMPLATE}},
    "ResourceQuota": {"spec": {"hard": {"pods": "50", "requests.cpu": "10"}}},
    "Role": {"rules": [RULE]},
    "RoleBinding": {"roleRef": ROLE_REF, "subjects": [SUBJECT]},
    "Secret": {"type": "Opaque", "data": {"a": "aGk="}, "stringData": {"b": "c"}},
    "Service": {"spec": {"selector": LABELS, "ports": [{"port": 80, "targetPort": "http"}]}},
    "ServiceAccount": {"automountServiceAccountToken": False},
    "ServiceCIDR": {"spec": {"cidrs": ["10.200.0.0/16"]}},
    "StatefulSet": {"spec": {"serviceName": "a", "replicas": 2, "selector": SELECTOR, "template": TEMPLATE,
                             "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": PERSISTENT}]}},
    "StorageClass": {"provisioner": "example.com/disk"},
    "Recipe": {"spec": {"servings": 2, "steps": [{"name": "boil", "minutes": 5}], "anything": {"x": [1]}}},
}  # fmt: skip

STEP = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$"},
        "minutes": {"type": "integer", "minimum": 0, "default": 1},
    },
}
SPEC = {
    "type": "object",
    "required": ["servings"],
    "x-kubernetes-validations": [{"rule": "self.servings >= 1", "message": "somebody must eat"}],
    "properties": {
        "servings": {"type": "integer", "maximum": 100},
        "taste": {"type": "string", "enum": ["sweet", "salty"], "nullable": True},
        "port": {"x-kubernetes-int-or-string": True},
        "anything": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "steps": {
            "type": "array",
            "items": STEP,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    },
}
STATUS = {"type": "object", "properties": {"ready": {"type": "integer"}}}
DEFINITION: Raw = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "recipes.kitchen.example"},
    "spec": {
        "group": "kitchen.example",
        "scope": "Namespaced",
        "names": {"plural": "recipes", "singular": "recipe", "kind": "Recipe", "listKind": "RecipeList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}},
                },
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.servings", "statusReplicasPath": ".status.ready"},
                },
                "additionalPrinterColumns": [{"name": "Servings", "type": "integer", "jsonPath": ".spec.servings"}],
            }
        ],
    },
}
OTHER: Raw = {
    **DEFINITION,
    "metadata": {"name": "forks.kitchen.example"},
    "spec": {
        **DEFINITION["spec"],
        "names": {"plural": "forks", "singular": "fork", "kind": "Fork", "listKind": "ForkList"},
    },
}
"""A definition that may be spoilt, beside the one whose objects are."""


def sample(kind: str) -> Raw:
    """An object without metadata."""
    return {"spec": OTHER["spec"]} if kind == "CustomResourceDefinition" else PARTS[kind]
