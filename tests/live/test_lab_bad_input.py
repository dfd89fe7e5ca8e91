"""What goes wrong for a learner: refused as a whole with a place and a remedy, or a row that says what happened."""

import re
import textwrap
from typing import Any

import pytest
from inside import ONCE
from labs import SHOP, errors, places

from labkit import lab
from labkit.errors import CommandError, LabError, ManifestError, NotFound, WaitTimeout
from labkit.lab import Lab

pytestmark = ONCE

GOOD = """
apiVersion: v1
kind: ConfigMap
metadata: {name: early}
data: {key: value}
---
"""


def everything(k: Lab) -> list[str]:
    """What there is, but for the certificates that come to each namespace in their own time."""
    kinds = ("Namespace", "ConfigMap", "Deployment", "Service", "Pod")
    return [
        f"{kind}/{o['metadata']['name']}"
        for kind in kinds
        for o in k.objects(kind, None)
        if o["metadata"]["name"] != "kube-root-ca.crt"
    ]


def refused(k: Lab, text: str) -> tuple[str, list[dict[str, Any]]]:
    """Apply what must be refused; nothing of it may be there afterwards. Returns the message and its problems."""
    before = everything(k)
    with pytest.raises(ManifestError) as caught:
        k.apply(GOOD + textwrap.dedent(text))
    assert everything(k) == before
    return str(caught.value), caught.value.details["problems"]


SERVICE = "apiVersion: v1\nkind: Service\n"
WEB = SERVICE + "metadata: {name: web}\n"
POD = "apiVersion: v1\nkind: Pod\n"
CONTAINERS = "spec: {containers: [{name: a, image: a}]}\n"
RANGE = "must be between 1 and 65535, inclusive"

# What is written, and what is told about it: field, line, message, remedy.
REFUSED = {
    "syntax": ("kind: Service\nmetadata: {name: [web\n", "", 8, "expected", "."),
    "kind": ("apiVersion: v1\nkind: Servize\nmetadata: {name: web}\n", "kind", 8, "Servize", "Service"),
    "field": (WEB + "spec: {selector: {a: b}}\n", "spec.ports", 10, "Required", "Add at least one port"),
    "name": (SERVICE + "metadata: {}\nspec: {ports: [{port: 80}]}\n", "metadata.name", 9, "Required", "name"),
    "port": (WEB + "spec:\n  ports:\n  - {port: 70000}\n", "spec.ports[0].port", 12, RANGE, "."),
    "target": (
        WEB + "spec:\n  ports:\n  - {port: 80, targetPort: 70000}\n", "spec.ports[0].targetPort", 12, RANGE, "."
    ),
    "unknown": (WEB + "spec: {ports: [{port: 80}], prots: []}\n", "spec.prots", 10, "unknown field", "ports"),
    "twice": ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: early}\n", "metadata.name", 9, "Duplicate", "rename"),
    "form": (POD + "metadata: {name: Web_1}\n" + CONTAINERS, "metadata.name", 9, "RFC 1123", "."),
    "namespace": (
        POD + "metadata: {name: p, namespace: nowhere}\n" + CONTAINERS, "", 7, '"nowhere" not found', "Create it first"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_manifest_is_refused_whole(shop: Lab, case: str) -> None:
    text, field, line, message, remedy = REFUSED[case]
    told, problems = refused(shop, text)
    (problem,) = problems
    assert problem["file"] == "manifest"
    assert problem.get("document") == 2
    assert problem["field"] == field
    assert problem["line"] == line, told
    assert message in problem["message"]
    assert remedy in problem["remedy"], problem
    assert "document 2" in told
    assert f"line {line}" in told


def test_all_problems_come_at_once(shop: Lab) -> None:
    _, problems = refused(shop, "kind: Servize\nmetadata: {name: a}\n---\nkind: Service\nmetadata: {name: b}\n")
    assert {p["document"] for p in problems} == {2, 3}


@pytest.mark.parametrize("source", ["no/such/file.yaml", "", "# nothing\n---\n", [], {}, "http://127.0.0.1:1/x.yaml"])
def test_no_manifest_at_all(shop: Lab, source: Any) -> None:
    with pytest.raises(ManifestError) as caught:
        shop.apply(source)
    assert "Traceback" not in str(caught.value)


def test_a_service_without_pods_is_applied_and_refuses_connections(shop: Lab) -> None:
    with pytest.raises(WaitTimeout, match="selects app=nobody, and no pod of namespace shop has these labels"):
        shop.wait("svc/nobody", namespace="shop", timeout=0.1)
    rows = shop.pod("shop/client").get("http://nobody", n=3)
    assert errors(rows) == ["connection refused"]
    assert set(rows["pod"]) == {""}
    assert rows["status"].isna().all()
    assert "REJECT" in shop.node("node-1").run("iptables-save -t filter | grep shop/nobody").stdout


def test_what_goes_wrong_with_a_request_is_a_row(shop: Lab) -> None:
    client = shop.pod("shop/client")
    web = next(p for p in places(shop) if p["name"].startswith("shop/web"))
    assert errors(client.get("http://wbe", n=3))[0].startswith("could not resolve wbe")
    assert errors(client.get(f"http://{web['addresses'][0]}:81", n=3)) == ["connection refused"]
    assert errors(client.get("http://10.244.99.99", n=2)) == ["network is unreachable"]
    node = shop.node(web["node"])
    node.run(f"iptables -I FORWARD -d {web['addresses'][0]} -j DROP", check=True)
    rows = client.get(f"http://{web['addresses'][0]}:8080", n=3, timeout=0.2)
    node.run(f"iptables -D FORWARD -d {web['addresses'][0]} -j DROP", check=True)
    assert errors(rows) == ["timed out after 0.2 s"]
    assert (rows["ms"] >= 190).all()
    assert errors(client.get(f"http://{web['addresses'][0]}:8080")) == []


@pytest.mark.parametrize(
    ("url", "options"), [("ftp://web", {}), ("http://", {}), ("http://web:99999", {}), ("http://web", {"n": -1})]
)
def test_a_request_that_makes_no_sense_is_refused_in_a_sentence(shop: Lab, url: str, options: dict[str, int]) -> None:
    with pytest.raises(LabError) as caught:
        shop.pod("shop/client").get(url, **options)  # type: ignore[arg-type]
    assert re.fullmatch(r"[^\n]+", str(caught.value))
    assert "Error:" not in str(caught.value)


def test_a_missing_command_is_an_output_and_not_an_exception(shop: Lab) -> None:
    client = shop.pod("shop/client")
    for command in ("no-such-program --help", ["no-such-program"]):
        output = client.run(command)  # type: ignore[arg-type]
        assert output.code == 127
        assert "not found" in output.stderr
        assert "(exit code 127)" in repr(output)
    assert client.run("exit 3").code == 3
    assert client.run("kill -9 $$").code == 137
    late = client.run("sleep 10", timeout=0.1)
    assert (late.code, late.stderr) == (124, "timed out after 0.1 s\n")
    with pytest.raises(CommandError, match="failed"):
        client.run("exit 3", check=True)


def pod(name: str, command: list[str]) -> dict[str, Any]:
    container = {"name": "c", "image": "own", "command": command, "ports": [{"containerPort": 80}]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def test_a_container_that_cannot_start_says_why(shop: Lab) -> None:
    shop.apply(pod("broken", ["no-such-program"]))
    with pytest.raises(WaitTimeout, match="no-such-program") as caught:
        shop.wait("pod/broken", namespace="shop", timeout=0.5)
    assert "leave `command` out" in str(caught.value)
    table = shop.pods("shop").set_index("NAME")
    assert table.loc["broken", "STATUS"] == "RunContainerError"
    assert errors(shop.pod("shop/client").get("http://web", n=5)) == []
    shop.delete("pod/broken", namespace="shop")


def test_a_server_that_does_not_listen_is_a_refused_connection(shop: Lab) -> None:
    shop.apply(pod("idle", ["sleep", "600"]))
    shop.wait("pod/idle", namespace="shop")
    address = shop.get("pod/idle", namespace="shop")["status"]["podIP"]
    assert errors(shop.pod("shop/client").get(f"http://{address}")) == ["connection refused"]
    shop.delete("pod/idle", namespace="shop")


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("deployment/wbe", '"wbe" not found'),
        ("web", "write kind/name"),
        ("deploymint/web", "deploymint"),
        ("deployment/", "write kind/name"),
    ],
)
def test_a_wrong_name_is_told_apart_from_a_wrong_form(shop: Lab, what: str, told: str) -> None:
    for ask in (shop.wait, shop.get, shop.delete, lambda w, namespace: shop.scale(w, 1, namespace=namespace)):
        with pytest.raises(LabError, match=told):
            ask(what, namespace="shop")


def test_a_wrong_place_is_told_with_what_there_is(shop: Lab) -> None:
    with pytest.raises(NotFound, match="there is no node 'node-9'; there are node-1, node-2, node-3"):
        shop.node("node-9")
    with pytest.raises(NotFound, match="there is no pod 'db' in namespace shop"):
        shop.pod("db", namespace="shop")
    with pytest.raises(NotFound, match="several pods are called 'web' in namespace shop: web-"):
        shop.pod("shop/web")
    with pytest.raises(NotFound, match="internet, router"):
        shop.host("node-1")
    with pytest.raises(NotFound):
        shop.trace("nobody", "http://web", namespace="shop")


def test_numbers_that_make_no_sense(shop: Lab) -> None:
    for replicas, told in ((-1, "greater than or equal to 0"), (10**7, "this lab takes at most 5000")):
        with pytest.raises(LabError, match=f"spec.replicas: Invalid value: {replicas}: .*{told}"):
            shop.scale("deployment/web", replicas, namespace="shop")
    assert shop.get("deployment/web", namespace="shop")["spec"]["replicas"] == 3


def test_apply_again_changes_nothing(shop: Lab) -> None:
    assert set(shop.apply(SHOP)["RESULT"]) == {"unchanged"}


def test_a_range_of_two_node_ports_is_exhausted_by_two() -> None:
    with lab.start(nodes=1, name="two ports", service_node_port_range="31000-31001") as k:
        for name in ("a", "b"):
            k.apply(SERVICE + f"metadata: {{name: {name}}}\nspec: {{type: NodePort, ports: [{{port: 80}}]}}\n")
        given = {k.get(f"svc/{name}")["spec"]["ports"][0]["nodePort"] for name in ("a", "b")}
        assert given == {31000, 31001}
        third = SERVICE + "metadata: {name: c}\nspec: {type: NodePort, ports: [{port: 80}]}\n"
        assert "failed to allocate a nodePort: range is full" in refused(k, third)[0]
        k.delete("svc/a")
        k.apply(third)
        assert k.get("svc/c")["spec"]["ports"][0]["nodePort"] in given
