"""Admission that looks at other objects: priorities, tolerations, limits, quotas, default classes."""

from __future__ import annotations

import pytest

from labkit.control import plugins
from labkit.control.plugins.pods import create_classes
from labkit.control.plugins.quota import ResourceQuotas
from labkit.control.reconcile import Loop
from labkit.errors import ApiError


@pytest.fixture(autouse=True)
def registered(admission):
    plugins.register(admission)
    create_classes(admission)


@pytest.fixture
def loop(store):
    return Loop(store, [ResourceQuotas(store)], lambda failure: pytest.fail(str(failure)))


@pytest.fixture
def pod(make):
    def made(name="a", resources=None, containers=None, **spec):
        containers = containers or [{"name": "c", "image": "i:1", "resources": resources or {}}]
        return make("Pod", name, spec={"containers": containers, **spec})

    return made


def why(admission, raw):
    with pytest.raises(ApiError) as error:
        admission.create(raw)
    status = error.value.details["status"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    return status["message"]


def priority_class(make, name, value, **more):
    return make("PriorityClass", name, "", "scheduling.k8s.io/v1", value=value, **more)


def test_a_pod_has_the_priority_of_its_class(admission, make, pod):
    admission.create(priority_class(make, "high", 1000, preemptionPolicy="Never"))
    spec = admission.create(pod(priorityClassName="high"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    plain = admission.create(pod("b"))["spec"]
    assert (plain["priority"], plain["preemptionPolicy"], "priorityClassName" in plain) == (
        0, "PreemptLowerPriority", False)  # fmt: skip
    system = admission.create(pod("d", priorityClassName="system-node-critical"))
    assert system["spec"]["priority"] == 2_000_001_000


def test_the_lowest_default_class_is_taken(admission, make, pod):
    for name, value in (("ten", 10), ("five", 5)):
        admission.create(priority_class(make, name, value, globalDefault=True))
    spec = admission.create(pod())["spec"]
    assert (spec["priority"], spec["priorityClassName"]) == (5, "five")


def test_priorities_that_are_refused(admission, pod):
    assert why(admission, pod(priorityClassName="no")) == (
        'pods "a" is forbidden: no PriorityClass with name no was found'
    )
    assert why(admission, pod(priority=7)) == (
        'pods "a" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission '
        "controller computed 0 from the given PriorityClass name"
    )


def test_a_pod_bears_its_nodes_absence_for_five_minutes(admission, pod):
    mine = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    tolerations = admission.create(pod(tolerations=[mine]))["spec"]["tolerations"]
    other = {**mine, "key": "node.kubernetes.io/unreachable", "tolerationSeconds": 300}
    assert tolerations == [mine, other]
    everything = [{"operator": "Exists"}]
    assert admission.create(pod("b", tolerations=everything))["spec"]["tolerations"] == everything


def limit_range(make, *items):
    return make("LimitRange", "limits", spec={"limits": list(items)})


def test_limits_give_what_a_container_does_not_say(admission, make, pod):
    item = {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"}}
    admission.create(limit_range(make, item))
    raw = admission.create(pod(resources={"requests": {"memory": "64Mi"}}))
    (container,) = raw["spec"]["containers"]
    assert container["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "100m", "memory": "64Mi"},
    }
    assert raw["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; cpu, memory limit for "
        "container c"
    }
    assert raw["status"]["qosClass"] == "Burstable"


@pytest.mark.parametrize(
    ("item", "resources", "message"),
    [
        ({"type": "Container", "min": {"cpu": "100m"}}, {"requests": {"cpu": "50m"}},
         "minimum cpu usage per Container is 100m, but request is 50m"),
        ({"type": "Container", "max": {"memory": "1Gi"}}, {"limits": {"memory": "2Gi"}},
         "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
        ({"type": "Pod", "max": {"cpu": "1"}}, {"requests": {"cpu": "500m"}},
         "maximum cpu usage per Pod is 1.  No limit is specified"),
        ({"type": "Pod", "max": {"cpu": "1"}}, {"limits": {"cpu": "2"}},
         "maximum cpu usage per Pod is 1, but limit is 2"),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}},
         {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}},
         "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
    ],
)  # fmt: skip
def test_limits_refuse_what_is_out_of_bounds(admission, make, pod, item, resources, message):
    admission.create(limit_range(make, item))
    assert why(admission, pod(resources=resources)) == f'pods "a" is forbidden: {message}'


def quota(make, name="q", scopes=(), **hard):
    hard = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
    return make("ResourceQuota", name, spec={"hard": hard, **({"scopes": list(scopes)} if scopes else {})})


def test_a_quota_counts(admission, store, make, pod, loop):
    admission.create(quota(make, pods="2", count__configmaps="1", services_nodeports="1"))
    for name in ("a", "b"):
        admission.create(pod(name))
    assert why(admission, pod("c")) == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    )
    store.update("Pod", "default", "a", lambda raw: raw.update(status={"phase": "Succeeded"}))
    assert admission.create(pod("c"))
    admission.create(make("ConfigMap", "one"))
    assert "requested: count/configmaps=1" in why(admission, make("ConfigMap", "two"))
    loop.drain()
    assert store.get("ResourceQuota", "default", "q")["status"] == {
        "hard": {"pods": "2", "count/configmaps": "1", "services.nodeports": "1"},
        "used": {"pods": "2", "count/configmaps": "1", "services.nodeports": "0"},
    }
    assert admission.create({**pod("d"), "metadata": {"name": "d", "namespace": "kube-system"}})


def test_a_quota_of_amounts(admission, make, pod):
    admission.create(quota(make, requests_cpu="1", limits_memory="1Gi"))
    assert why(admission, pod(resources={"requests": {"cpu": "1"}})) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.memory for: c'
    )
    small = {"requests": {"cpu": "600m"}, "limits": {"memory": "128Mi"}}
    admission.create(pod(resources=small))
    assert why(admission, pod("b", resources=small)) == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: '
        "requests.cpu=1"
    )


def test_an_update_may_take_no_more_than_is_left(admission, make, store):
    admission.create(quota(make, services_nodeports="1"))
    service = admission.create(make("Service", "web", spec={"ports": [{"port": 80}]}))
    two = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    with pytest.raises(ApiError, match="exceeded quota"):
        admission.replace({**service, "spec": {**service["spec"], "type": "NodePort", "ports": two}})
    assert admission.replace({**service, "spec": {**service["spec"], "type": "NodePort"}})


@pytest.mark.parametrize(
    ("scope", "more", "counted"),
    [
        ("BestEffort", {}, True),
        ("NotBestEffort", {}, False),
        ("Terminating", {"activeDeadlineSeconds": 5}, True),
        ("NotTerminating", {"activeDeadlineSeconds": 5}, False),
    ],
)
def test_scopes(admission, make, pod, scope, more, counted):
    admission.create(quota(make, scopes=[scope], pods="0"))
    if counted:
        assert "exceeded quota" in why(admission, pod(**more))
    else:
        assert admission.create(pod(**more))


def test_init_containers_count_while_they_run(admission, make, pod):
    admission.create(quota(make, requests_cpu="1"))

    def container(name, cpu, **more):
        return {"name": name, "image": "i:1", "resources": {"requests": {"cpu": cpu}}, **more}

    main, first = [container("a", "500m")], [container("b", "1")]
    assert admission.create(pod(containers=main, initContainers=first))
    sidecar = [container("b", "1", restartPolicy="Always")]
    assert "requests.cpu=1500m" in why(admission, pod("b", containers=main, initContainers=sidecar))


def test_default_classes(admission, make):
    def of(kind, name, annotation, version, **parts):
        return make(kind, name, "", version, metadata={"annotations": {annotation: "true"}}, **parts)

    marked = "ingressclass.kubernetes.io/is-default-class"
    for name in ("old", "new"):
        spec = {"controller": "example.com/c"}
        admission.create(of("IngressClass", name, marked, "networking.k8s.io/v1", spec=spec))
    backend = {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}
    ingress = make("Ingress", "a", version="networking.k8s.io/v1", spec=backend)
    assert admission.create(ingress)["spec"]["ingressClassName"] == "new"
    ingress["metadata"] = {"name": "b", "namespace": "default", "annotations": {"kubernetes.io/ingress.class": "x"}}
    assert "ingressClassName" not in admission.create(ingress)["spec"]
    marked = "storageclass.kubernetes.io/is-default-class"
    admission.create(of("StorageClass", "disk", marked, "storage.k8s.io/v1", provisioner="example.com/d"))
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    assert admission.create(make("PersistentVolumeClaim", "a", spec=claim))["spec"]["storageClassName"] == "disk"


SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture
def guarded(store):
    """Say how much the pods of a namespace may do."""

    def set_level(level):
        labels = {"pod-security.kubernetes.io/enforce": level}
        store.update("Namespace", "", "default", lambda raw: raw["metadata"]["labels"].update(labels))

    return set_level


def test_restricted_pods_say_how_little_they_need(admission, pod, guarded):
    guarded("restricted")
    assert why(admission, pod()) == (
        'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
        '"c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must '
        'set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )
    assert admission.create(pod(containers=[{"name": "c", "image": "i:1", "securityContext": SAFE}]))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "v")'),
        ({"containers": [{"name": "c", "image": "i:1", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
         'hostPort (container "c" uses hostPort 80)'),
        ({"containers": [{"name": n, "image": "i:1", "securityContext": {"privileged": True}} for n in "cd"]},
         'privileged (containers "c", "d" must not set securityContext.privileged=true)'),
        ({"containers": [{"name": "c", "image": "i:1", "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}]},
         'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)'),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
         'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
         "forbidden sysctls (kernel.msgmax)"),
    ],
)  # fmt: skip
def test_baseline_keeps_pods_off_their_node(admission, pod, guarded, more, message):
    raw = pod(**more)
    assert admission.create({**raw, "metadata": {**raw["metadata"], "name": "free"}})
    guarded("baseline")
    assert why(admission, raw) == f'pods "a" is forbidden: violates PodSecurity "baseline:latest": {message}'
    assert admission.create(pod("b"))
