"""Volumes in containers that really run: real commands see them, nobody else does."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from inside import ONCE, in_sandbox
from running import Cluster, running_in

from labkit.linux import execute
from labkit.linux.filesystem import LAB

SLEEP = ["sh", "-c", "echo up; exec sleep 1000"]


def mounted(name: str = "x", image: str = "busybox", **mounts: Any) -> dict[str, Any]:
    """A container that mounts volumes: name=path, or name={mountPath, …}."""
    listed = [{"name": n, **(m if isinstance(m, dict) else {"mountPath": m})} for n, m in mounts.items()]
    command = {"command": SLEEP} if image == "busybox" else {}
    return {"name": name, "image": image, "volumeMounts": listed, **command}


async def run(c: Cluster, command: str, container: str = "") -> str:
    done = await c.runtime.run(msgspec.to_builtins(c.place), command, container=container)
    return str(done["stdout"] + done["stderr"]).strip()


@in_sandbox
async def test_configmap_secret_and_downward_volumes() -> None:
    c = Cluster()
    c.tell("ConfigMap", "cfg", {"app.conf": "color=red\n", "other": "x"})
    c.tell("Secret", "sec", {"pw": "aHVudGVyMg=="})
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    volumes = [
        {"name": "c", "configMap": {"name": "cfg", "items": [{"key": "app.conf", "path": "sub/app.conf"}]}},
        {"name": "s", "secret": {"secretName": "sec", "defaultMode": 0o400}},
        {"name": "d", "downwardAPI": {"items": items}},
    ]
    await c.start(mounted(c="/etc/app", s="/no/such/place/secret", d="/podinfo"), volumes=volumes)
    assert await run(c, "cat /etc/app/sub/app.conf; grep -c ndots /etc/resolv.conf") == "color=red\n1"
    assert await run(c, "cat /no/such/place/secret/pw; stat -Lc ' %a' /no/such/place/secret/pw") == "hunter2 400"
    assert await run(c, "cat /podinfo/labels") == 'app="web"'
    assert "Read-only file system" in await run(c, "touch /etc/app/new")
    assert await run(c, "test -e /etc/passwd && ls -d /usr /bin && ls /run/pods") != ""
    assert "u1" not in await run(c, "ls -R /run")
    assert not Path("/no").exists() and not Path("/etc/app").exists() and not Path("/podinfo").exists()
    await c.stop()
    assert not (LAB / "u1").exists()
    assert (left := running_in(c.place)) == [], left


@in_sandbox
async def test_files_follow_their_objects_in_one_step() -> None:
    c = Cluster()
    c.tell("ConfigMap", "cfg", {"a": "1", "b": "1"})
    volumes = [{"name": "c", "configMap": {"name": "cfg"}}]
    whole, part = {"name": "c", "mountPath": "/c"}, {"name": "c", "mountPath": "/part/a", "subPath": "a"}
    container = {"name": "x", "image": "busybox", "command": SLEEP, "volumeMounts": [whole, part]}
    await c.start(container, volumes=volumes)
    assert await run(c, "cat /c/a /c/b /part/a; readlink /c/a") == "111..data/a"
    c.tell("ConfigMap", "cfg", {"a": "2", "c": "2"}, "MODIFIED")
    async with asyncio.timeout(5):
        while await run(c, "cat /c/a") != "2":
            await asyncio.sleep(0.01)
    assert await run(c, "ls /c; cat /part/a") == "a\nc\n1"  # a subPath stays as it was
    c.tell("ConfigMap", "cfg", change="DELETED")
    await asyncio.sleep(0)
    assert await run(c, "cat /c/a") == "2"
    await c.stop()


@in_sandbox
async def test_containers_share_an_empty_directory_and_a_claim_outlives_the_pod() -> None:
    c = Cluster()
    c.tell("PersistentVolumeClaim", "data")
    volumes = [{"name": "e", "emptyDir": {}}, {"name": "p", "persistentVolumeClaim": {"claimName": "data"}}]
    writer = {**mounted("w", e="/cache", p="/var/lib/db"), "command": ["sh", "-c", "echo 1 >/cache/f; sleep 1000"]}
    await c.start(writer, mounted("r", "nginx", e={"mountPath": "/in", "readOnly": True}), volumes=volumes)
    async with asyncio.timeout(5):
        while await run(c, "cat /in/f", "r") != "1":
            await asyncio.sleep(0.01)
    assert "Read-only" in await run(c, "touch /in/g", "r")
    await run(c, "echo kept >/var/lib/db/f", "w")
    await c.stop()
    await c.start(mounted(p="/data", e="/e"), volumes=volumes)
    assert await run(c, "cat /data/f; ls /e") == "kept"
    await c.stop()


@in_sandbox
async def test_a_service_account_s_folder() -> None:
    c = Cluster()
    c.tell("ConfigMap", "kube-root-ca.crt", {"ca.crt": "PEM"})
    projected = {
        "defaultMode": 420,
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        ],
    }
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    volumes = [{"name": "k", "projected": projected}]
    await c.start(mounted(image="nginx", k={"mountPath": folder, "readOnly": True}), volumes=volumes)
    assert c.tokens == []  # nobody has looked yet
    assert await run(c, f"cd {folder}; cat token; echo; cat ca.crt; echo; cat namespace") == "token-1\nPEM\nshop"
    assert c.tokens == [{"uid": "u1", "audience": "", "seconds": 3607}]
    await c.stop()


@ONCE
@in_sandbox
async def test_a_token_is_renewed_before_it_ends() -> None:
    c = Cluster()
    projected = {"sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 1}}]}
    await c.start(mounted(k="/k"), volumes=[{"name": "k", "projected": projected}])
    assert await run(c, "cat /k/token") == "token-1"
    async with asyncio.timeout(5):
        while await run(c, "cat /k/token") != "token-3":
            await asyncio.sleep(0.01)
    await c.stop()


@in_sandbox
async def test_a_pod_waits_for_what_its_volumes_are_made_of() -> None:
    c = Cluster()
    volumes = [{"name": "c", "configMap": {"name": "late", "items": [{"key": "k", "path": "k"}]}}]
    [status] = await c.start(mounted(image="nginx", c="/c"), volumes=volumes)
    assert status["state"] == {"waiting": {"reason": "ContainerCreating"}}
    await c.heard('Warning FailedMount MountVolume.SetUp failed for volume "c" : configmap "late" not found')
    c.tell("ConfigMap", "late", {"other": "1"})
    await c.heard("configmap references non-existent config key: k")
    c.tell("ConfigMap", "late", {"k": "1"}, "MODIFIED")
    await c.until(lambda s: s["ready"])
    assert await run(c, "cat /c/k") == "1"
    await c.stop()


@in_sandbox
async def test_a_path_of_the_node() -> None:
    c = Cluster()
    volumes = [
        {"name": "etc", "hostPath": {"path": "/etc", "type": "Directory"}},
        {"name": "new", "hostPath": {"path": "/var/lib/none", "type": "DirectoryOrCreate"}},
        {"name": "bad", "hostPath": {"path": "/etc/hostname", "type": "Directory"}},
    ]
    await c.start(mounted(etc="/host/etc", new="/host/new"), volumes=volumes[:2])
    assert await run(c, "test -e /host/etc/passwd && echo there; echo 1 >/host/new/f; cat /host/new/f") == "there\n1"
    assert "Read-only" in await run(c, "touch /host/etc/new")
    assert not Path("/var/lib/none").exists()
    await c.stop()
    await c.start(mounted(bad="/x"), volumes=volumes[2:])
    failed = (await c.until(lambda s: s["state"].get("waiting", {}).get("reason") == "RunContainerError"))["state"]
    assert failed["waiting"]["message"] == "hostPath type check failed: /etc/hostname is not a directory"
    await c.stop()


@in_sandbox
async def test_environment_that_comes_later() -> None:
    c = Cluster()
    env = [{"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "color"}}}]
    script = ["sh", "-c", "echo color=$COLOR; exec sleep 1000"]
    [status] = await c.start({"name": "x", "image": "busybox", "command": script, "env": env})
    waiting = {"reason": "CreateContainerConfigError", "message": 'configmap "cfg" not found'}
    assert status["state"] == {"waiting": waiting}
    assert 'Warning Failed Error: configmap "cfg" not found' in c.events
    c.tell("ConfigMap", "cfg", {"color": "red"})
    await c.until(lambda s: "running" in s["state"])
    await c.said("color=red")
    await c.stop()


@in_sandbox
async def test_a_pod_without_volumes_sees_the_sandbox_s_files() -> None:
    c = Cluster()
    await c.start({"name": "x", "image": "busybox", "command": SLEEP})
    assert await run(c, "ls /run/pods") == ""
    plain = await execute.run(c.client, "cat /etc/hostname", check=True)
    assert plain.stdout == "pod-0\n"
    await c.stop()
