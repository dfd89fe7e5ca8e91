"""What a learner types at kubectl of three generations to make things, to change them, and to be rid of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import commanding
import pytest
import yaml
from commanding import WEB, Kubectl, table
from labs import API

from labkit import lab
from labkit.lab import Lab

pytestmark = API
SERIAL = itertools.count()


@pytest.fixture(scope="module")
def running(sandbox: str) -> Iterator[Lab]:
    with lab.start(nodes=2, name="commands") as started:
        yield started


@pytest.fixture(scope="module", params=commanding.VERSIONS)
def kubectl(running: Lab, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return commanding.started(running, request.param, tmp_path_factory.mktemp("home"))


@pytest.fixture
def name(kubectl: Kubectl) -> str:
    """The name of a Deployment of the test's own: two pods of nginx:1."""
    name = f"own-{next(SERIAL)}"
    kubectl("create", "deployment", name, "--image=nginx:1", "--replicas=2")
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=30s")
    return name


def test_a_watch_follows_a_rollout(kubectl: Kubectl, name: str) -> None:
    with kubectl.open("get", "deployment", name, "--watch") as watching:
        assert watching.stdout
        try:
            assert watching.stdout.readline().split()[:2] == ["NAME", "READY"]
            assert watching.stdout.readline().split()[:2] == [name, "2/2"]
            kubectl("scale", f"deployment/{name}", "--replicas=4")
            while watching.stdout.readline().split()[1] != "4/4":
                pass
            kubectl("delete", "deployment", name)
        finally:
            watching.terminate()


def test_create_by_words(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", f"{kubectl.space}-more")
    kubectl("create", "quota", "few", "--hard=configmaps=3,pods=50")
    assert re.search(r"^configmaps +1 +3$", kubectl("describe", "quota", "few"), re.M), "the CA's, of every namespace"
    kubectl("create", "configmap", "one", "--from-literal=a=b")
    kubectl("create", "configmap", "two", "--from-literal=a=b")
    refused = kubectl("create", "configmap", "three", "--from-literal=a=b", fails=True)
    assert "exceeded quota: few, requested: configmaps=1, used: configmaps=3, limited: configmaps=3" in refused
    kubectl("create", "secret", "tls", "pair", "--cert=/dev/null", "--key=/dev/null", fails=True)
    kubectl("create", "secret", "docker-registry", "pull", "--docker-username=u", "--docker-password=p")
    assert kubectl("get", "secret", "pull", "-o", "jsonpath={.type}") == "kubernetes.io/dockerconfigjson"
    kubectl("create", "serviceaccount", "bob")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "bob", "--role=reader", f"--serviceaccount={kubectl.space}:bob")
    as_bob = f"--as=system:serviceaccount:{kubectl.space}:bob"
    assert kubectl("auth", "can-i", "list", "pods", as_bob) == "yes\n"
    assert re.search(r"^pods +\[\] +\[\] +\[get list\]$", kubectl("auth", "can-i", "--list", as_bob), re.M)
    if kubectl.since(24):
        assert kubectl("create", "token", "bob").count(".") == 2
    kubectl("create", "ingress", "shop", "--rule=shop.example/cart*=web:80", "--class=nginx")
    assert table(kubectl("get", "ingress", "shop"))[1][:3] == ["shop", "nginx", "shop.example"]
    kubectl("create", "priorityclass", f"{kubectl.space}-high", "--value=10")
    kubectl("delete", "quota/few", "namespace/" + f"{kubectl.space}-more")


def test_rollouts(kubectl: Kubectl, name: str) -> None:
    target = f"deployment/{name}"
    kubectl("set", "image", target, "nginx=nginx:2")
    kubectl("rollout", "status", target, "--timeout=30s")
    kubectl("rollout", "restart", target)
    kubectl("rollout", "status", target, "--timeout=30s")
    assert [row[0] for row in table(kubectl("rollout", "history", target))[2:]] == ["1", "2", "3"]
    assert re.search(r"Image:\s+nginx:2", kubectl("rollout", "history", target, "--revision=2"))
    kubectl("rollout", "pause", target)
    kubectl("set", "image", target, "nginx=nginx:3")
    kubectl("set", "env", target, "MODE=new")
    assert "cannot rollback a paused deployment" in kubectl("rollout", "undo", target, fails=True).lower()
    kubectl("rollout", "resume", target)
    kubectl("rollout", "status", target, "--timeout=30s")
    kubectl("rollout", "undo", target, "--to-revision=1")
    kubectl("rollout", "status", target, "--timeout=30s")
    assert kubectl("get", target, "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "nginx:1"
    assert [row[0] for row in table(kubectl("rollout", "history", target))[2:]] == ["2", "3", "4", "5"]


def test_a_variable_set_and_unset_leads_back_to_the_same_pods(kubectl: Kubectl, name: str) -> None:
    sets = ("get", "replicasets", "-l", f"app={name}", "-o", "custom-columns=:metadata.name,:spec.replicas")
    (first,) = table(kubectl(*sets))
    kubectl("set", "env", f"deployment/{name}", "MODE=new")
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=30s")
    kubectl("set", "env", f"deployment/{name}", "MODE-")
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=30s")
    assert len(table(kubectl(*sets))) == 2 and first in table(kubectl(*sets))


def test_patch_edit_replace(kubectl: Kubectl, name: str) -> None:
    image = ("get", f"deployment/{name}", "-o", "jsonpath={.spec.template.spec.containers[*].image}")
    container = '{"name":"extra","image":"redis:1"}'
    kubectl("patch", "deployment", name, "-p", f'{{"spec":{{"template":{{"spec":{{"containers":[{container}]}}}}}}}}')
    assert kubectl(*image) == "redis:1 nginx:1", "a strategic merge puts new ones first"
    kubectl(
        "patch", "deployment", name, "--type=merge", "-p", '{"spec":{"replicas":1},"metadata":{"labels":{"a":"b"}}}'
    )
    drop = '[{"op":"remove","path":"/spec/template/spec/containers/0"},{"op":"test","path":"/spec/replicas","value":1}]'
    kubectl("patch", "deployment", name, "--type=json", "-p", drop)
    assert kubectl(*image) == "nginx:1"
    assert "edited" in kubectl("edit", "deployment", name, editor="sed -i s/nginx:1/nginx:2/")
    assert kubectl(*image) == "nginx:2"
    assert "no changes made" in kubectl("edit", "deployment", name, editor="true")
    stored = kubectl("get", "deployment", name, "-o", "yaml")
    kubectl("replace", "-f", "-", stdin=stored.replace("nginx:2", "nginx:3"))
    assert kubectl(*image) == "nginx:3"
    assert "the object has been modified" in kubectl("replace", "-f", "-", stdin=stored, fails=True)
    assert "autoscaled" in kubectl("autoscale", "deployment", name, "--min=1", "--max=3", "--cpu-percent=50")
    assert table(kubectl("get", "hpa", name))[1][1] == f"Deployment/{name}"


def test_server_side_apply_diff_and_dry_run(kubectl: Kubectl) -> None:
    conf = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {a: one}\n"
    assert kubectl("apply", "--server-side", "-f", "-", stdin=conf) == "configmap/conf serverside-applied\n"
    two, three = conf.replace("one", "two"), conf.replace("one", "three")
    as_other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = kubectl(*as_other, stdin=two, fails=True)
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in refused
    kubectl(*as_other, "--force-conflicts", stdin=two)
    told = kubectl("diff", "--server-side", "--force-conflicts", "-f", "-", stdin=three, fails=True)
    assert "\n-  a: two\n" in told and "\n+  a: three\n" in told
    assert kubectl("get", "configmap", "conf", "-o", "jsonpath={.data.a}") == "two"
    kubectl("create", "configmap", "dry", "--from-literal=a=b", "--dry-run=server")
    assert "not found" in kubectl("get", "configmap", "dry", fails=True)


def test_labels_and_annotations(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "marked")
    kubectl("label", "configmap", "marked", "tier=front")
    assert "already has a value (front)" in kubectl("label", "configmap", "marked", "tier=back", fails=True)
    kubectl("label", "configmap", "marked", "tier=back", "--overwrite")
    kubectl("annotate", "configmap", "marked", "note=hello there")
    assert kubectl("get", "configmap", "-l", "tier=back", "-o", "name") == "configmap/marked\n"
    assert re.search(r"^Annotations: +note: hello there$", kubectl("describe", "configmap", "marked"), re.M)
    kubectl("label", "configmap", "marked", "tier-")
    assert kubectl("get", "configmap", "marked", "-o", "jsonpath={.metadata.labels}") == ""


def test_expose_and_wait(kubectl: Kubectl, name: str) -> None:
    kubectl("expose", "deployment", name, "--port=8080", "--target-port=80", "--type=NodePort")
    (row,) = table(kubectl("get", "service", name, "--no-headers"))
    assert row[1] == "NodePort" and re.fullmatch(r"8080:3\d{4}/TCP", row[4])
    kubectl("wait", "--for=condition=Available", f"deployment/{name}", "--timeout=30s")
    if kubectl.since(23):
        kubectl("wait", "--for=jsonpath={.status.readyReplicas}=2", f"deployment/{name}", "--timeout=30s")
    kubectl("delete", "service,deployment", name, "--wait=false")
    kubectl.gone(f"app={name}")
    assert "timed out" in kubectl("wait", "--for=delete", "deployment/web", "--timeout=200ms", fails=True)


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_delete_with_or_without_what_is_owned(kubectl: Kubectl, name: str, cascade: str) -> None:
    kubectl("delete", "deployment", name, f"--cascade={cascade}")
    sets = ("get", "replicasets", "-l", f"app={name}", "-o", "name")
    if cascade == "orphan":
        (left,) = kubectl(*sets).split()
        assert kubectl("get", left, "-o", "jsonpath={.metadata.ownerReferences}") == ""
        assert kubectl("get", left, "-o", "jsonpath={.status.readyReplicas}") == "2"
        kubectl("delete", left)
    elif cascade == "foreground":
        assert kubectl(*sets) == "", "what it owned went first"
    kubectl.gone(f"app={name}")


def test_kustomize(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "namePrefix: kust-\nresources: [web.yaml]\nconfigMapGenerator: [{name: conf, literals: [a=b]}]\n"
        "images: [{name: nginx, newTag: '7'}]\n"
    )
    (tmp_path / "web.yaml").write_text(WEB.partition("---")[0])
    rendered = [d["metadata"]["name"] for d in yaml.safe_load_all(kubectl("kustomize", str(tmp_path)))]
    assert len(rendered) == 2 and "kust-web" in rendered and rendered[0].startswith("kust-conf-")
    assert "kust-web created" in kubectl("apply", "-k", str(tmp_path))
    kubectl("rollout", "status", "deployment/kust-web", "--timeout=30s")
    shown = kubectl("get", "-k", str(tmp_path), "-o", "jsonpath={.items[*].spec.template.spec.containers[0].image}")
    assert shown == "nginx:7"
    assert kubectl("diff", "-k", str(tmp_path)) == ""
    (tmp_path / "kustomization.yaml").write_text("namePrefix: kust-\nresources: [web.yaml]\n")
    assert re.search(r"^\+ +(?:- )?image: nginx:1$", kubectl("diff", "-k", str(tmp_path), fails=True), re.M)
    kubectl("delete", "-k", str(tmp_path))


def test_a_kind_of_ones_own_by_create(kubectl: Kubectl) -> None:
    kind = f"Gadget{kubectl.version.partition('.')[2]}"
    plural = f"{kind.lower()}s"
    schema = (
        "{openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer}}}}}}"
    )
    crd = f"""
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {{name: {plural}.example.com}}
        spec:
          group: example.com
          scope: Namespaced
          names: {{plural: {plural}, singular: {kind.lower()}, kind: {kind}}}
          versions: [{{name: v1, served: true, storage: true, schema: {schema}}}]
    """
    gadget = f"apiVersion: example.com/v1\nkind: {kind}\nmetadata: {{name: one}}\nspec: {{size: 3}}\n"
    assert kubectl("create", "-f", "-", stdin=crd).endswith(" created\n")
    kubectl("wait", "--for=condition=Established", f"crd/{plural}.example.com", "--timeout=30s")
    assert kubectl("create", "-f", "-", stdin=gadget) == f"{kind.lower()}.example.com/one created\n"
    assert "AlreadyExists" in kubectl("create", "-f", "-", stdin=gadget, fails=True)
    kubectl("patch", kind.lower(), "one", "--type=merge", "-p", '{"spec":{"size":4}}')
    assert kubectl("get", plural, "-o", "jsonpath={.items[0].spec.size}") == "4"
    assert "one" in kubectl("describe", plural)
    kubectl("delete", "crd", f"{plural}.example.com")


def test_nodes_tainted_cordoned_and_drained(kubectl: Kubectl, name: str) -> None:
    nodes = ("get", "pods", "-l", f"app={name}", "-o", "jsonpath={.items[*].spec.nodeName}")
    kubectl("taint", "node", "node-2", "who=nobody:NoSchedule")
    assert re.search(r"^Taints: +who=nobody:NoSchedule$", kubectl("describe", "node", "node-2"), re.M)
    kubectl("rollout", "restart", f"deployment/{name}")
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=30s")
    kubectl("taint", "node", "node-2", "who-")
    kubectl("cordon", "node-2")
    assert table(kubectl("get", "node", "node-2"))[1][1] == "Ready,SchedulingDisabled"
    kubectl("uncordon", "node-2")
    kubectl("drain", "node-1", "--ignore-daemonsets", "--force", f"--pod-selector=app={name}", "--timeout=30s")
    kubectl("rollout", "status", f"deployment/{name}", "--timeout=30s")
    assert "node-1" not in kubectl(*nodes).split()
    kubectl("uncordon", "node-1")
