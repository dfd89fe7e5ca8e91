"""Who a client is, and what they may do."""

import base64
import time
from typing import Any

import msgspec
import pytest

from labkit.apiserver.access.rbac import Attributes, allows, covers
from labkit.apiserver.http.messages import Certified

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PODS = "/api/v1/namespaces/default/pods"
BOB = Certified("bob", ("dev",))


def bind(
    server: Any, role: str, kind: str = "User", name: str = "bob", namespace: str = "default", **more: Any
) -> None:
    subject = {"kind": kind, "name": name, **more}
    body = {
        "metadata": {"generateName": "b-"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
    where = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    server.make(where, body)


def test_anonymous_clients_see_health_and_version_only(server: Any) -> None:
    for path in ("/livez", "/readyz", "/healthz", "/version"):
        assert server.ask("GET", path, user=None).status == 200
    for path in ("/", "/api", "/apis", "/openapi/v3"):
        got = server.ask("GET", path, user=None)
        assert (got.status, got.message) == (403, f'forbidden: User "system:anonymous" cannot get path "{path}"')
    got = server.ask("GET", PODS, user=None)
    assert got.message == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        'in the namespace "default"'
    )


def test_a_token_that_is_none_is_unauthorized(server: Any) -> None:
    good = server.account_token()
    head, claims, signature = good.split(".")
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(claims + "==").replace(b"default", b"kubelet")).rstrip(
        b"="
    )
    for token in ("x", "a.b.c", "é", f"{head}.{forged.decode()}.{signature}", f"{head}.{claims}.", good[:-4] + "AAAA"):
        got = server.ask("GET", "/version", token=token)
        assert (got.status, got.json["reason"]) == (401, "Unauthorized"), token
    assert server.ask("GET", "/api", token=good).status == 200


def test_a_service_account_may_what_is_bound_to_it(server: Any) -> None:
    token = server.account_token()
    denied = server.ask("GET", PODS, token=token)
    assert denied.status == 403
    assert 'User "system:serviceaccount:default:default" cannot list resource "pods"' in denied.message
    bind(server, "view", "ServiceAccount", "default")
    assert server.ask("GET", PODS, token=token).status == 200
    assert server.ask("GET", "/api/v1/pods", token=token).status == 403, "only in its namespace"
    assert server.ask("POST", PODS, {"metadata": {"name": "p"}}, token=token).status == 403, "only to look"
    assert server.ask("GET", "/api/v1/namespaces/default/secrets", token=token).status == 403, "view has no secrets"


def test_aggregated_roles_have_the_rules_of_their_parts(server: Any) -> None:
    roles = {role["metadata"]["name"]: role for role in server.get(f"{RBAC}/clusterroles")["items"]}
    verbs = lambda name, resource: {  # noqa: E731
        verb for rule in roles[name]["rules"] if resource in rule.get("resources", ()) for verb in rule["verbs"]
    }
    assert verbs("view", "pods") == {"get", "list", "watch"}
    assert {"create", "delete"} <= verbs("edit", "pods") and verbs("edit", "secrets") and not verbs("view", "secrets")
    assert verbs("admin", "rolebindings") and not verbs("edit", "rolebindings")
    own = {
        "metadata": {"name": "shops", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": ["example.com"], "resources": ["shops"], "verbs": ["get"]}],
    }
    server.make(f"{RBAC}/clusterroles", own)
    server.loop.drain()
    assert own["rules"][0] in server.get(f"{RBAC}/clusterroles/admin")["rules"]


def test_a_token_ends_with_what_it_is_bound_to(server: Any) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts"
    server.make(path, {"metadata": {"name": "bob"}})
    server.make(PODS, {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    plain = server.make(f"{path}/bob/token", {"spec": {}})["status"]["token"]
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "p"}
    bound = server.make(f"{path}/bob/token", {"spec": {"boundObjectRef": reference, "expirationSeconds": 600}})
    claims = msgspec.json.decode(base64.urlsafe_b64decode(bound["status"]["token"].split(".")[1] + "=="))
    assert claims["sub"] == "system:serviceaccount:default:bob"
    assert claims["kubernetes.io"]["pod"]["name"] == "p" and claims["exp"] - claims["iat"] == 600
    assert claims["aud"] == bound["spec"]["audiences"]
    for token in (plain, bound["status"]["token"]):
        assert server.ask("GET", "/api", token=token).status == 200
    server.ask("DELETE", f"{PODS}/p")
    assert server.ask("GET", "/api", token=bound["status"]["token"]).status == 401
    server.ask("DELETE", f"{path}/bob")
    server.make(path, {"metadata": {"name": "bob"}})
    assert server.ask("GET", "/api", token=plain).status == 401, "another account by the same name"


def test_a_token_ends_in_time_and_is_for_its_audience(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    account = server.store.get("ServiceAccount", "default", "default")
    token, expires = server.tokens.issue(account, [], 600)
    vault, _ = server.tokens.issue(account, ["vault"], 600)
    assert server.ask("GET", "/api", token=vault).status == 401
    review = "/apis/authentication.k8s.io/v1/tokenreviews"
    answer = server.make(review, {"spec": {"token": vault, "audiences": ["vault", "other"]}})["status"]
    assert (answer["authenticated"], answer["audiences"]) == (True, ["vault"])
    assert answer["user"]["username"] == "system:serviceaccount:default:default"
    assert "system:serviceaccounts:default" in answer["user"]["groups"]
    assert server.make(review, {"spec": {"token": vault}})["status"]["authenticated"] is False
    monkeypatch.setattr(time, "time", lambda: float(expires))
    assert server.ask("GET", "/api", token=token).status == 401


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"expirationSeconds": 60}, 422),
        ({"expirationSeconds": 2**33}, 422),
        ({"expirationSeconds": "long"}, 400),
        ({"audiences": "api"}, 400),
        ({"boundObjectRef": {"kind": "ConfigMap", "name": "a"}}, 422),
        ({"boundObjectRef": {"kind": "Pod", "name": "none"}}, 404),
        ({"boundObjectRef": {"kind": "Node", "name": "n", "uid": "other"}}, 409),
    ],
)
def test_token_requests_that_make_no_sense(server: Any, spec: Any, code: int) -> None:
    server.make("/api/v1/nodes", {"metadata": {"name": "n"}})
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    assert server.ask("POST", path, {"spec": spec}).status == code


def test_a_secret_is_filled_with_a_token_for_ever(server: Any) -> None:
    path = "/api/v1/namespaces/default/secrets"
    annotations = {"kubernetes.io/service-account.name": "default"}
    kind = "kubernetes.io/service-account-token"
    server.make(path, {"metadata": {"name": "old", "annotations": annotations}, "type": kind})
    data = server.get(f"{path}/old")["data"]
    assert base64.b64decode(data["ca.crt"]) == b"authority"
    token = base64.b64decode(data["token"]).decode()
    assert server.ask("GET", "/api", token=token).status == 200
    server.ask("DELETE", "/api/v1/namespaces/default/serviceaccounts/default")
    assert server.ask("GET", f"{path}/old").status == 404, "it goes with its account"
    assert server.ask("GET", "/api", token=token).status == 401


def test_who_am_i_and_what_may_i(server: Any) -> None:
    bind(server, "edit", "Group", "dev")
    me = server.make("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, user=BOB)["status"]["userInfo"]
    assert me == {"username": "bob", "groups": ["dev", "system:authenticated"]}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    def may(verb: str, resource: str, **more: str) -> Any:
        asked = {"verb": verb, "resource": resource, "namespace": "default", **more}
        return server.make(path, {"spec": {"resourceAttributes": asked}}, user=BOB)["status"]

    assert may("create", "deployments", group="apps")["allowed"]
    assert 'RoleBinding "b-' in may("get", "pods", subresource="log")["reason"]
    assert not may("create", "deployments", group="apps", namespace="kube-system")["allowed"]
    assert not may("create", "nodes")["allowed"]
    rules = server.make(
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}, user=BOB
    )["status"]
    assert any("pods" in rule["resources"] and "create" in rule["verbs"] for rule in rules["resourceRules"])
    assert any("/version" in rule["nonResourceURLs"] for rule in rules["nonResourceRules"])


def test_somebody_elses_access(server: Any) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    spec = {"user": "eve", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}
    assert server.make(path, {"spec": spec})["status"] == {"allowed": False}
    assert server.make(path, {"spec": {**spec, "groups": ["system:monitoring"]}})["status"]["allowed"]
    local = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
    asked = {"verb": "get", "resource": "pods", "namespace": "other"}
    assert server.ask("POST", local, {"spec": {"user": "eve", "resourceAttributes": asked}}).status == 400
    for bad in ({}, {"user": "eve"}, {"user": 5}, {"user": "e", "resourceAttributes": {}, "nonResourceAttributes": {}}):
        assert server.ask("POST", path, {"spec": bad}).status == 400, bad


def test_a_missing_role_is_named(server: Any) -> None:
    bind(server, "nowhere", "User", "bob")
    got = server.ask("GET", PODS, user=BOB)
    assert got.message.endswith('RBAC: clusterrole.rbac.authorization.k8s.io "nowhere" not found')


def test_nobody_gives_away_more_than_they_have(server: Any) -> None:
    bind(server, "admin", "User", "bob")
    roles = f"{RBAC}/namespaces/default/roles"
    pods = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}
    assert server.ask("POST", roles, {"metadata": {"name": "a"}, "rules": [pods]}, user=BOB).status == 201
    got = server.ask("POST", roles, {"metadata": {"name": "b"}, "rules": [pods, nodes]}, user=BOB)
    assert got.status == 403
    assert (
        'user "bob" (groups=["dev" "system:authenticated"]) is attempting to grant RBAC permissions not' in got.message
    )
    assert '{APIGroups:[""], Resources:["nodes"], Verbs:["list"]}' in got.message
    assert '"pods"' not in got.message
    changed = {"metadata": {"name": "a"}, "rules": [nodes]}
    assert server.ask("PUT", f"{roles}/a", changed, user=BOB).status == 403
    merge = {"Content-Type": "application/merge-patch+json"}
    assert server.ask("PATCH", f"{roles}/a", changed, user=BOB, headers=merge).status == 403
    server.make(roles, {"metadata": {"name": "strong"}, "rules": [nodes]})
    binding = {
        "metadata": {"name": "x"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "strong"},
        "subjects": [{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    bindings = f"{RBAC}/namespaces/default/rolebindings"
    assert server.ask("POST", bindings, binding, user=BOB).status == 403
    assert (
        server.ask("POST", bindings, {**binding, "roleRef": {**binding["roleRef"], "name": "a"}}, user=BOB).status
        == 201
    )


def test_somebody_may_act_for_another_where_that_is_allowed(server: Any) -> None:
    as_bob = {"Impersonate-User": "bob", "Impersonate-Group": "dev"}
    me = server.make("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, headers=as_bob)
    assert me["status"]["userInfo"]["username"] == "bob"
    got = server.ask("GET", PODS, headers={"Impersonate-User": "root"}, user=BOB)
    assert 'users "root" is forbidden: User "bob" cannot impersonate resource "users"' in got.message
    account = {"Impersonate-User": "system:serviceaccount:default:default"}
    bind(server, "edit", "User", "bob")
    assert server.ask("GET", "/api", headers=account, user=BOB).status == 200, "edit may act for accounts"


def test_every_part_of_another_s_identity_must_be_allowed(server: Any) -> None:
    group = "authentication.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["ada"]},
        {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["dev"]},
        {"apiGroups": [group], "resources": ["uids"], "verbs": ["impersonate"], "resourceNames": ["7"]},
        {"apiGroups": [group], "resources": ["userextras/scopes"], "verbs": ["impersonate"], "resourceNames": ["view"]},
    ]
    server.make(f"{RBAC}/clusterroles", {"metadata": {"name": "acting"}, "rules": rules})
    subject = {"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": "acting", "apiGroup": "rbac.authorization.k8s.io"}
    server.make(f"{RBAC}/clusterrolebindings", {"metadata": {"name": "b"}, "roleRef": reference, "subjects": [subject]})
    path = f"/apis/{group}/v1/selfsubjectreviews"
    whole = {
        "Impersonate-User": "ada",
        "Impersonate-Group": "dev",
        "Impersonate-Uid": "7",
        "Impersonate-Extra-Scopes": "view",
    }
    me = server.make(path, {}, headers=whole, user=BOB)["status"]["userInfo"]
    assert me == {
        "username": "ada",
        "uid": "7",
        "groups": ["dev", "system:authenticated"],
        "extra": {"scopes": ["view"]},
    }
    for name, value in (
        ("User", "eve"),
        ("Group", "dev,ops"),
        ("Uid", "8"),
        ("Extra-Scopes", "edit"),
        ("Extra-X", "1"),
    ):
        got = server.ask("POST", path, {}, headers={**whole, f"Impersonate-{name}": value}, user=BOB)
        assert (got.status, got.json["reason"]) == (403, "Forbidden"), name
    assert server.ask("POST", path, {}, headers={"Impersonate-Group": "dev"}).status == 400


def test_a_token_bound_to_a_node_ends_with_it(server: Any) -> None:
    server.make("/api/v1/nodes", {"metadata": {"name": "n"}})
    reference = {"kind": "Node", "apiVersion": "v1", "name": "n"}
    asked = {"spec": {"boundObjectRef": reference}}
    made = server.make("/api/v1/namespaces/default/serviceaccounts/default/token", asked)
    assert server.ask("GET", "/api", token=made["status"]["token"]).status == 200
    server.ask("DELETE", "/api/v1/nodes/n")
    assert server.ask("GET", "/api", token=made["status"]["token"]).status == 401


def test_a_rule_may_be_for_some_names_only(server: Any) -> None:
    server.make(f"{RBAC}/namespaces/default/roles", {
        "metadata": {"name": "one"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"], "verbs": ["get", "list"]}]
    })  # fmt: skip
    server.make(f"{RBAC}/namespaces/default/rolebindings", {
        "metadata": {"name": "one"}, "subjects": [{"kind": "User", "name": "bob"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
    })  # fmt: skip
    maps = "/api/v1/namespaces/default/configmaps"
    assert server.ask("GET", f"{maps}/mine", user=BOB).status == 404
    assert server.ask("GET", f"{maps}/yours", user=BOB).status == 403
    assert server.ask("GET", maps, user=BOB).status == 403
    assert server.ask("GET", maps, user=BOB, fieldSelector="metadata.name=mine").status == 200


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        ({"resources": ["pods"]}, Attributes("get", "", "pods", "log"), False),
        ({"resources": ["pods/log"]}, Attributes("get", "", "pods", "log"), True),
        ({"resources": ["*/scale"]}, Attributes("get", "", "things", "scale"), True),
        ({"resources": ["*"]}, Attributes("get", "", "pods", "log"), True),
        ({"resources": ["pods"], "apiGroups": ["apps"]}, Attributes("get", "", "pods"), False),
        ({"nonResourceURLs": ["/api/*"]}, Attributes("get", path="/api/v1"), True),
        ({"nonResourceURLs": ["/api"]}, Attributes("get", path="/api/v1"), False),
        ({"resources": ["*"]}, Attributes("get", path="/api"), False),
    ],
)
def test_rules(rule: Any, wanted: Attributes, allowed: bool) -> None:
    assert allows({"verbs": ["get"], "apiGroups": [""], **rule}, wanted) is allowed


def test_what_a_set_of_rules_covers() -> None:
    mine = [{"verbs": ["get", "list"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]}]
    asked = {"verbs": ["get", "watch"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}
    assert covers(mine, asked) == [{**asked, "verbs": ["watch"]}]
    assert covers([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}], asked) == []
    assert covers([{**mine[0], "resourceNames": ["b"]}], {**asked, "verbs": ["get"]})
