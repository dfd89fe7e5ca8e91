"""The official Python client's loops: watches that resume, informers, leaders, kinds known by name only."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import official
import pytest
from labs import API, wait_until
from official import SPACE, client, config_map, deployment

from labkit import lab
from labkit.lab import Lab

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports' business
    from kubernetes import dynamic, watch
    from kubernetes.dynamic.exceptions import ConflictError, ResourceNotFoundError
    from kubernetes.informer import SharedInformer
    from kubernetes.leaderelection import electionconfig, leaderelection
    from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

# The client leaves sockets of its own open.
pytestmark = [
    API,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

GIZMOS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gizmos.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(nodes=2, name="loops") as started:
        yield started


@pytest.fixture(scope="module")
def api(running: Lab) -> Iterator[Any]:
    with official.connect(running) as connection:
        yield connection


@pytest.fixture(scope="module")
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


def test_a_watch_that_goes_on_where_it_stopped(core: Any) -> None:
    version = core.list_namespaced_config_map(SPACE).metadata.resource_version
    core.create_namespaced_config_map(SPACE, config_map("seen", "seen", a="1"))
    core.patch_namespaced_config_map("seen", SPACE, {"data": {"a": "2"}})
    watching, heard = watch.Watch(), []
    options = {"namespace": SPACE, "label_selector": "test=seen"}
    for event in watching.stream(core.list_namespaced_config_map, resource_version=version, **options):
        heard.append((event["type"], event["object"].data["a"]))
        if len(heard) == 2:
            watching.stop()
    version = watching.resource_version
    core.delete_namespaced_config_map("seen", SPACE)
    for event in watching.stream(core.list_namespaced_config_map, resource_version=version, **options):
        heard.append((event["type"], event["object"].data["a"]))
        watching.stop()
    assert heard == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_a_watch_of_an_earlier_life_of_the_lab_has_to_start_anew(
    running: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    @contextmanager
    def alive() -> Iterator[Any]:
        with lab.start(nodes=1, name="came-back", keep=True) as k, official.connect(k) as connection:
            yield client.CoreV1Api(connection)

    with alive() as core:
        version = core.list_namespaced_config_map(SPACE).metadata.resource_version
        core.create_namespaced_config_map(SPACE, config_map("later", "kept"))
    with alive() as core:
        with pytest.raises(client.ApiException, match="too old resource version") as gone:
            list(watch.Watch().stream(core.list_namespaced_config_map, SPACE, resource_version=version))
        assert gone.value.status == 410
        listed = core.list_namespaced_config_map(SPACE, label_selector="test=kept")
        assert [item.metadata.name for item in listed.items] == ["later"]


def test_a_log_is_streamed_line_by_line(running: Lab, core: Any) -> None:
    script = "echo one; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo two"
    container = client.V1Container(name="c", image="busybox", command=["sh", "-c", script])
    pod = client.V1Pod(
        metadata={"name": "teller"}, spec=client.V1PodSpec(restart_policy="Never", containers=[container])
    )
    core.create_namespaced_pod(SPACE, pod)
    running.wait("pod/teller")
    lines = watch.Watch().stream(core.read_namespaced_pod_log, "teller", SPACE)
    assert next(lines) == "one"
    running.pod("teller").run("touch /tmp/go")
    assert list(lines) == ["two"]


def test_an_informer_knows_what_is_there(running: Lab, core: Any, api: Any) -> None:
    heard: list[str] = []
    informer = SharedInformer(core.list_namespaced_pod, SPACE, label_selector="app=informed")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        informer.add_event_handler(kind, lambda _, kind=kind: heard.append(kind))

    def known() -> dict[str, str]:
        return {pod.metadata.name: pod.metadata.uid for pod in informer.cache.list()}

    def there() -> dict[str, str]:
        listed = core.list_namespaced_pod(SPACE, label_selector="app=informed").items
        return {pod.metadata.name: pod.metadata.uid for pod in listed}

    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(SPACE, deployment("informed", 2))
    running.wait("deployment/informed")
    informer.start()
    try:
        wait_until(lambda: len(known()) == 2, 20, "the first list")
        apps.patch_namespaced_deployment_scale("informed", SPACE, {"spec": {"replicas": 5}})
        wait_until(lambda: len(known()) == 5 and known() == there(), 20, "three more pods")
        apps.patch_namespaced_deployment_scale("informed", SPACE, {"spec": {"replicas": 1}})
        wait_until(lambda: len(known()) == 1 and known() == there(), 60, "the end of four pods")
    finally:
        informer.stop()
    assert heard.count("ADDED") == 5 and heard.count("DELETED") == 4 and "MODIFIED" in heard


def test_kinds_by_name(api: Any, core: Any, tmp_path: Path) -> None:
    found = dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovered"))
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(namespace=SPACE, body={"metadata": {"name": "dyn"}, "data": {"a": "1"}})
    maps.patch(name="dyn", namespace=SPACE, body={"data": {"b": "2"}}, content_type="application/merge-patch+json")
    assert maps.get(name="dyn", namespace=SPACE).data.to_dict() == {"a": "1", "b": "2"}
    with pytest.raises(ConflictError):
        maps.replace(namespace=SPACE, body=made.to_dict())
    with pytest.raises(ResourceNotFoundError):
        found.resources.get(api_version="example.com/v1", kind="Gizmo")
    definitions = found.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    definitions.create(body=GIZMOS)

    def established() -> bool:
        conditions = (definitions.get(name="gizmos.example.com").to_dict().get("status") or {}).get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    wait_until(established, 20, "the definition")
    gizmos = found.resources.get(api_version="example.com/v1", kind="Gizmo")
    body = {"apiVersion": "example.com/v1", "kind": "Gizmo", "metadata": {"name": "one"}, "spec": {"size": 3}}
    found.server_side_apply(gizmos, namespace=SPACE, body=body, field_manager="python")
    assert [item.spec.size for item in gizmos.get(namespace=SPACE).items] == [3]
    events = gizmos.watch(namespace=SPACE, timeout=20)
    assert next(events)["object"].metadata.name == "one"
    gizmos.delete(name="one", namespace=SPACE)
    assert next(events)["type"] == "DELETED"
    definitions.delete(name="gizmos.example.com")


def test_a_leader_that_gives_up_is_followed_by_another(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.Configuration, "_default", api.configuration)
    give_up, order = {name: threading.Event() for name in ("a", "b")}, []

    def lead(name: str) -> Callable[[], None]:
        def leading() -> None:
            order.append(name)
            give_up[name].wait(60)
            raise InterruptedError  # by which a candidate ends its own leading

        return leading

    def candidate(name: str) -> threading.Thread:
        settings = electionconfig.Config(
            LeaseLock("leader", SPACE, name), 3, 2, 1, onstarted_leading=lead(name), onstopped_leading=lambda: None
        )
        thread = threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True)
        thread.start()
        return thread

    leases = client.CoordinationV1Api(api)
    first = candidate("a")
    wait_until(lambda: order == ["a"], 20, "a leader")
    second = candidate("b")
    assert leases.read_namespaced_lease("leader", SPACE).spec.holder_identity == "a"
    give_up["a"].set()
    wait_until(lambda: order == ["a", "b"], 20, "the other leader")
    assert leases.read_namespaced_lease("leader", SPACE).spec.holder_identity == "b"
    give_up["b"].set()
    first.join(20)
    second.join(20)
    assert not first.is_alive() and not second.is_alive()
