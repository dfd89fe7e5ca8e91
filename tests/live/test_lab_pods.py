"""Pods in a whole lab: what the API says of them, what they see of the cluster, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from labs import errors, wait_until

from labkit import lab
from labkit.errors import ApiError, LabError, WaitTimeout
from labkit.lab import Lab


@pytest.fixture(scope="module")
def k() -> Iterator[Lab]:
    with lab.start(name="pods", nodes=2) as started:
        yield started


def pod(name: str, command: str = "", **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox" if command else "nginx", **spec.pop("container", {})}
    if command:
        container["command"] = ["sh", "-c", command]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def status(k: Lab, name: str) -> dict[str, Any]:
    found: dict[str, Any] = k.get(f"pod/{name}")["status"]
    return found


def test_a_pod_talks_to_the_api_with_its_own_token(k: Lab) -> None:
    k.apply(pod("talker", "sleep 1000"))
    k.wait("pod/talker")
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    curl = f'curl -s --cacert {folder}/ca.crt -H "Authorization: Bearer $(cat {folder}/token)"'
    url = "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"
    said = str(k.pod("talker").run(f"{curl} {url}/api/v1/namespaces/$(cat {folder}/namespace)/secrets"))
    assert 'User \\"system:serviceaccount:default:default\\" cannot list resource' in said
    assert '"gitVersion"' in str(k.pod("talker").run(f"{curl} {url}/version"))
    k.delete("pod/talker", timeout=60)


def test_events_are_objects_of_the_api(k: Lab) -> None:
    k.apply(pod("told"))
    k.wait("pod/told")
    mine = [e for e in k.objects("Event") if e["involvedObject"]["name"] == "told" and e["reason"] == "Started"]
    [event] = mine
    assert event["involvedObject"]["fieldPath"] == "spec.containers{c}"
    assert event["source"] == {"component": "kubelet", "host": k.get("pod/told")["spec"]["nodeName"]}
    listed = k.events()
    rows = listed[listed["OBJECT"] == "pod/told"]
    assert list(rows["REASON"]) == ["Scheduled", "Pulled", "Created", "Started"]
    k.delete("pod/told")


def test_a_pod_that_has_done_its_work_keeps_its_log_and_no_network(k: Lab) -> None:
    k.apply(pod("work", "echo done", restartPolicy="Never"))
    wait_until(lambda: status(k, "work")["phase"] == "Succeeded", 20, "the pod's end")
    wait_until(lambda: "default/work" not in [p["name"] for p in k.topology()["places"]], 20, "the network's end")
    assert k.logs("work") == "done\n"
    told = {c["type"]: (c["status"], c.get("reason")) for c in status(k, "work")["conditions"]}
    assert told["Ready"] == ("False", "PodCompleted") and told["PodReadyToStartContainers"] == ("False", None)
    k.delete("pod/work")
    with pytest.raises(LabError, match="no pod"):
        k.logs("work")


def test_a_pod_that_takes_too_long(k: Lab) -> None:
    k.apply(pod("slow", "sleep 1000", activeDeadlineSeconds=1))
    wait_until(lambda: "terminated" in str(status(k, "slow").get("containerStatuses")), 30, "the deadline")
    found = status(k, "slow")
    assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["message"] == "Pod was active on the node longer than the specified deadline"
    assert "DeadlineExceeded" in set(k.events()["REASON"])
    k.delete("pod/slow")


def test_a_pod_waits_for_its_configuration_and_follows_it(k: Lab) -> None:
    volumes = [{"name": "v", "configMap": {"name": "late"}}]
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/etc/late"}]}
    k.apply(pod("waits", "sleep 1000", volumes=volumes, container=mounts))
    wait_until(lambda: "FailedMount" in set(k.events()["REASON"]), 20, "the Event")
    with pytest.raises(WaitTimeout, match='volume "v" : configmap "late" not found'):
        k.wait("pod/waits", timeout=0.1)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}, "data": {"k": "1"}}
    k.apply(config)
    k.wait("pod/waits")
    assert str(k.pod("waits").run("cat /etc/late/k")) == "1"
    k.apply({**config, "data": {"k": "2"}})
    wait_until(lambda: str(k.pod("waits").run("cat /etc/late/k")) == "2", 20, "the new file")
    k.delete("pod/waits", timeout=60)


def test_a_terminating_pod_serves_until_its_hook_has_ended(k: Lab) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "until [ -e /tmp/go ]; do sleep 0.02; done"]}}}
    k.apply([pod("ends", container={"lifecycle": hook}), pod("client", "sleep 1000")])
    k.wait()
    address = status(k, "ends")["podIP"]
    deleting = threading.Thread(target=k.delete, args=("pod/ends",))
    deleting.start()
    wait_until(lambda: "deletionTimestamp" in k.get("pod/ends")["metadata"], 10, "the deletion's begin")
    rows = k.pod("client").get(f"http://{address}/hostname", n=5)
    assert errors(rows) == []
    conditions = {c["type"]: c["status"] for c in status(k, "ends")["conditions"]}
    assert conditions["Ready"] == "True"
    k.pod("ends").run("touch /tmp/go")  # which may end with its container
    deleting.join()
    with pytest.raises(ApiError, match="not found"):
        k.get("pod/ends")
    k.delete("pod/client", timeout=60)
