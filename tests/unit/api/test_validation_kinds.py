"""Rules and defaults of the kinds beside the core ones: each fault by its field and the server's words."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api import check, schema, validation
from labkit.api.canonical import canonical
from labkit.api.defaults import default
from labkit.api.kinds import BY_KIND
from labkit.api.problem import Problem
from labkit.api.validation import cron

TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i:1"}]}}
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
TARGET = {"kind": "Deployment", "name": "web"}


def made(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "web", **({"namespace": "default"} if BY_KIND[kind].namespaced else {}), **fields.pop("meta", {})}
    return default({"apiVersion": BY_KIND[kind].api_version, "kind": kind, "metadata": meta, **fields})


def problems(kind: str, fields: dict[str, Any]) -> list[Problem]:
    return validation.problems(made(kind, fields))


def ingress(**path: Any) -> dict[str, Any]:
    paths = [{"path": "/", "pathType": "Prefix", "backend": BACKEND, **path}]
    return {"spec": {"rules": [{"host": "shop.example.com", "http": {"paths": paths}}]}}


def policy(**rule: Any) -> dict[str, Any]:
    return {"spec": {"podSelector": {}, "ingress": [rule]}}


def job(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": TEMPLATE, **spec}}


def cron_job(**spec: Any) -> dict[str, Any]:
    return {"spec": {"schedule": "* * * * *", "jobTemplate": job(), **spec}}


def scaler(**spec: Any) -> dict[str, Any]:
    return {"spec": {"scaleTargetRef": TARGET, "maxReplicas": 3, **spec}}


def claim(**spec: Any) -> dict[str, Any]:
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}}


def volume(**spec: Any) -> dict[str, Any]:
    return {
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}, **spec}
    }


GOOD = [
    ("Ingress", ingress()),
    ("Ingress", {"spec": {"defaultBackend": BACKEND, "ingressClassName": "lab"}}),
    ("Ingress", {"spec": {"rules": [{"host": "*.example.com"}], "tls": [{"hosts": ["*.a.b"], "secretName": "s"}]}}),
    ("IngressClass", {"spec": {"controller": "traefik.io/ingress-controller"}}),
    ("NetworkPolicy", policy(**{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]})),
    ("NetworkPolicy", policy(ports=[{"port": 80, "endPort": 90}, {"port": "http"}])),
    ("Job", job()),
    ("Job", job(completionMode="Indexed", completions=3, backoffLimitPerIndex=1)),
    ("CronJob", cron_job(schedule="*/5 0-6,22 1 jan mon", timeZone="Etc/UTC")),
    ("PodDisruptionBudget", {"spec": {"minAvailable": "50%", "selector": {}}}),
    ("PriorityClass", {"value": 1_000_000_000}),
    ("PriorityClass", {"value": 2_000_000_000, "meta": {"name": "system-cluster-critical"}}),
    ("Role", {"rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}),
    ("ClusterRole", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz"]}]}),
    ("RoleBinding", {"roleRef": ROLE, "subjects": [{"kind": "ServiceAccount", "name": "a"}]}),
    ("HorizontalPodAutoscaler", scaler()),
    ("ResourceQuota", {"spec": {"hard": {"pods": "4", "requests.cpu": "1", "count/jobs.batch": "2"}}}),
    ("LimitRange", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "100m"}}]}}),
    ("PersistentVolumeClaim", claim()),
    ("PersistentVolume", volume()),
    ("StorageClass", {"provisioner": "kubernetes.io/no-provisioner"}),
    ("Lease", {"spec": {"leaseDurationSeconds": 40}}),
    ("Event", {"involvedObject": {"kind": "Pod", "name": "a", "namespace": "default"}}),
    ("ControllerRevision", {"revision": 1, "data": {}}),
    ("IPAddress", {"meta": {"name": "10.96.0.1"}, "spec": {"parentRef": {"resource": "services", "name": "a"}}}),
    ("ServiceCIDR", {"spec": {"cidrs": ["10.96.0.0/16"]}}),
    ("APIService", {"meta": {"name": "v1.apps"}, "spec": {"group": "apps", "version": "v1",
                    "groupPriorityMinimum": 100, "versionPriority": 15}}),
    ("Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": "", "tls.key": ""}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields"), GOOD)
def test_good(kind: str, fields: dict[str, Any]) -> None:
    obj = made(kind, dict(fields))
    assert check.problems(obj) == []
    assert default(obj) == obj


PATH = "spec.rules[0].http.paths[0]"
RULE = "spec.ingress[0]"
BAD = [
    ("Ingress", {"spec": {}}, "spec",
     "Invalid value: []: either `defaultBackend` or `rules` must be specified"),
    ("Ingress", ingress(path="shop"), f"{PATH}.path", 'Invalid value: "shop": must be an absolute path'),
    ("Ingress", ingress(path="/a//b"), f"{PATH}.path", "Invalid value: \"/a//b\": must not contain '//'"),
    ("Ingress", ingress(path="/a/.."), f"{PATH}.path", "Invalid value: \"/a/..\": cannot end with '/..'"),
    ("Ingress", ingress(pathType="prefix"), f"{PATH}.pathType",
     'Unsupported value: "prefix": supported values: "Exact", "ImplementationSpecific", "Prefix"'),
    ("Ingress", ingress(backend={}), f"{PATH}.backend",
     'Invalid value: "": resource or service backend is required'),
    ("Ingress", ingress(backend={"service": {"name": "web"}}), f"{PATH}.backend",
     "Required value: port name or number is required"),
    ("Ingress", ingress(backend={"service": {"name": "web", "port": {"name": "a", "number": 1}}}), f"{PATH}.backend",
     'Invalid value: "": cannot set both port name & port number'),
    ("Ingress", {"spec": {"rules": [{"host": "10.0.0.1"}]}}, "spec.rules[0].host",
     'Invalid value: "10.0.0.1": must be a DNS name, not an IP address'),
    ("Ingress", {"spec": {"rules": [{"host": "a.*.b"}]}}, "spec.rules[0].host", None),
    ("IngressClass", {"spec": {"controller": "traefik"}}, "spec.controller",
     'Invalid value: "traefik": must be a domain-prefixed path (such as "acme.io/foo")'),
    ("IngressClass", {"spec": {"controller": "a.b/c", "parameters": {"kind": "K", "name": "n", "scope": "Namespace"}}},
     "spec.parameters.namespace", "Required value: `parameters.scope` is set to 'Namespace'"),
    ("NetworkPolicy", policy(**{"from": [{}]}), f"{RULE}.from[0]", "Required value: must specify a peer"),
    ("NetworkPolicy", policy(**{"from": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}), f"{RULE}.from[0]",
     "Forbidden: may not specify both ipBlock and another peer"),
    ("NetworkPolicy", policy(**{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}}]}),
     f"{RULE}.from[0].ipBlock.except[0]", 'Invalid value: "10.0.0.0/8": must be a strict subset of `cidr`'),
    ("NetworkPolicy", policy(ports=[{"port": 90, "endPort": 80}]), f"{RULE}.ports[0].endPort",
     "Invalid value: 90: must be greater than or equal to `port`"),
    ("NetworkPolicy", policy(ports=[{"port": "http", "endPort": 80}]), f"{RULE}.ports[0].endPort",
     "Invalid value: 80: may not be specified when `port` is non-numeric"),
    ("NetworkPolicy", policy(ports=[{"endPort": 80}]), f"{RULE}.ports[0].endPort",
     "Invalid value: 80: may not be specified when `port` is not specified"),
    ("NetworkPolicy", {"spec": {"podSelector": {}, "policyTypes": ["Both"]}}, "spec.policyTypes[0]", None),
    ("Job", job(completionMode="Indexed", completions=None, parallelism=1), "spec.completions",
     "Required value: when completion mode is Indexed"),
    ("Job", job(backoffLimitPerIndex=1), "spec.backoffLimitPerIndex",
     "Invalid value: 1: requires indexed completion mode"),
    ("Job", job(podFailurePolicy={"rules": [{"action": "FailJob"}]}), "spec.podFailurePolicy.rules[0]",
     'Invalid value: "": specifying one of OnExitCodes and OnPodConditions is required'),
    ("Job", {**job(completionMode="Indexed", completions=3), "meta": {"name": "a" * 62}}, "metadata.name", None),
    ("CronJob", cron_job(schedule="* * *"), "spec.schedule",
     'Invalid value: "* * *": expected exactly 5 fields, found 3: [* * *]'),
    ("CronJob", cron_job(timeZone="Mars/Olympus"), "spec.timeZone",
     'Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'),
    ("CronJob", cron_job(concurrencyPolicy="Never"), "spec.concurrencyPolicy",
     'Unsupported value: "Never": supported values: "Allow", "Forbid", "Replace"'),
    ("CronJob", {**cron_job(), "meta": {"name": "a" * 53}}, "metadata.name",
     f'Invalid value: "{"a" * 53}": must be no more than 52 characters'),
    ("PodDisruptionBudget", {"spec": {"minAvailable": 1, "maxUnavailable": 1}}, "spec", None),
    ("PodDisruptionBudget", {"spec": {"minAvailable": "101%"}}, "spec.minAvailable",
     'Invalid value: "101%": must not be greater than 100%'),
    ("PriorityClass", {"value": 1_000_000_001}, "value",
     "Forbidden: maximum allowed value of a user defined priority is 1000000000"),
    ("PriorityClass", {"value": 1, "meta": {"name": "system-mine"}}, "metadata.name",
     "Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-mine is "
     "not a known system priority class"),
    ("Role", {"rules": [{"verbs": [], "apiGroups": [""], "resources": ["pods"]}]}, "rules[0].verbs",
     "Required value: verbs must contain at least one value"),
    ("Role", {"rules": [{"verbs": ["get"], "nonResourceURLs": ["/a"]}]}, "rules[0].nonResourceURLs",
     'Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs'),
    ("RoleBinding", {"roleRef": {**ROLE, "kind": "Roll"}}, "roleRef.kind",
     'Unsupported value: "Roll": supported values: "ClusterRole", "Role"'),
    ("ClusterRoleBinding", {"roleRef": {**ROLE, "kind": "ClusterRole"}, "subjects": [
        {"kind": "ServiceAccount", "name": "a"}]}, "subjects[0].namespace", "Required value"),
    ("HorizontalPodAutoscaler", scaler(minReplicas=5), "spec.maxReplicas",
     "Invalid value: 3: must be greater than or equal to `minReplicas`"),
    ("HorizontalPodAutoscaler", scaler(metrics=[{"type": "Resource"}]), "spec.metrics[0].resource",
     "Required value: must populate information for the given metric source"),
    ("HorizontalPodAutoscaler", scaler(behavior={"scaleUp": {"policies": []}}), "spec.behavior.scaleUp.policies",
     "Required value: must specify at least one Policy"),
    ("ResourceQuota", {"spec": {"hard": {"pots": "1"}}}, "spec.hard[pots]",
     'Invalid value: "pots": must be a standard resource type or fully qualified'),
    ("ResourceQuota", {"spec": {"hard": {"pods": "-1"}}}, "spec.hard[pods]",
     'Invalid value: "-1": must be greater than or equal to 0'),
    ("ResourceQuota", {"spec": {"hard": {"pods": "1.5"}}}, "spec.hard[pods]",
     'Invalid value: "1500m": must be an integer'),
    ("ResourceQuota", {"spec": {"hard": {}, "scopes": ["Terminating", "NotTerminating"]}}, "spec.scopes",
     'Invalid value: ["Terminating","NotTerminating"]: conflicting scopes'),
    ("LimitRange", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}}]}},
     "spec.limits[0].min[cpu]", 'Invalid value: "2": min value 2 is greater than max value 1'),
    ("LimitRange", {"spec": {"limits": [{"type": "Pod", "default": {"cpu": "1"}}]}}, "spec.limits[0].default",
     "Forbidden: may not be specified when `type` is 'Pod'"),
    ("PersistentVolumeClaim", claim(accessModes=[]), "spec.accessModes",
     "Required value: at least 1 access mode is required"),
    ("PersistentVolumeClaim", claim(resources={}), "spec.resources[storage]", "Required value"),
    ("PersistentVolume", volume(hostPath=None), "spec", "Required value: must specify a volume type"),
    ("PersistentVolume", volume(nfs={"path": "/", "server": "a"}), "spec.nfs",
     "Forbidden: may not specify more than 1 volume type"),
    ("StorageClass", {"provisioner": ""}, "provisioner", "Required value"),
    ("Lease", {"spec": {"leaseDurationSeconds": 0}}, "spec.leaseDurationSeconds",
     "Invalid value: 0: must be greater than 0"),
    ("Event", {"involvedObject": {"namespace": "other"}}, "involvedObject.namespace",
     'Invalid value: "other": does not match event.namespace'),
    ("ControllerRevision", {"revision": 1}, "data", "Required value: data is mandatory"),
    ("IPAddress", {"meta": {"name": "a"}, "spec": {"parentRef": {"resource": "services", "name": "a"}}},
     "metadata.name", None),
    ("ServiceCIDR", {"spec": {"cidrs": ["10.96.0.0"]}}, "spec.cidrs[0]", None),
    ("APIService", {"spec": {"group": "apps", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}},
     "metadata.name", 'Invalid value: "web": must be `spec.version+"."+spec.group`: "v1.apps"'),
    ("Secret", {"type": "kubernetes.io/tls", "data": {"tls.crt": ""}}, "data[tls.key]", "Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fields", "field", "message"), BAD)
def test_bad(kind: str, fields: dict[str, Any], field: str, message: str | None) -> None:
    found = {(p.field, p.message) for p in problems(kind, dict(fields))}
    assert field in {where for where, _ in found}
    assert message is None or (field, message) in found


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("@hourly", ""), ("@every 1h30m", ""), ("0 0 * * sun-fri", ""), ("0-59/15 * * * ?", ""),
        ("@often", "unrecognized descriptor: @often"),
        ("@every soon", "failed to parse duration @every soon"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("a * * * *", 'failed to parse int from a: strconv.Atoi: parsing "a": invalid syntax'),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
    ],
)  # fmt: skip
def test_schedules(schedule: str, why: str) -> None:
    assert cron.fault(schedule) == why


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0.5", "500m"), ("1000m", "1"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("0.5Ki", "512"), ("1e3", "1e3"),
        ("1000", "1k"), ("1500", "1500"), ("0", "0"), ("0m", "0"), ("1u", "1m"), (" 1Gi ", "1Gi"), ("-1000m", "-1"),
        ("1E", "1E"), ("1000E", "1000E"), ("1e21", "1e21"),
    ],
)  # fmt: skip
def test_quantities_are_written_one_way(given: str, kept: str) -> None:
    assert canonical(given) == kept
    assert canonical(kept) == kept


@pytest.mark.parametrize("text", ["1e999", "1e-999", "9" * 101, "1" + "Ki" * 2])
def test_no_quantity_is_of_any_size(text: str) -> None:
    pod = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "a"}, "spec": {"hard": {"cpu": text}}}
    assert [p.field for p in schema.problems(pod)] == ["spec.hard[cpu]"]


def test_defaults_of_ranges_follow_from_each_other() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Gi"}, "defaultRequest": {"cpu": "0.1"}}
    (kept,) = made("LimitRange", {"spec": {"limits": [item]}})["spec"]["limits"]
    assert kept["default"] == {"cpu": "2"}
    assert kept["defaultRequest"] == {"cpu": "100m", "memory": "1Gi"}


def test_a_job_takes_its_templates_labels() -> None:
    template = {**TEMPLATE, "metadata": {"labels": {"app": "a"}}}
    obj = made("Job", {"spec": {"template": template}})
    assert obj["metadata"]["labels"] == {"app": "a"}
    assert (obj["spec"]["completions"], obj["spec"]["backoffLimit"]) == (1, 6)
