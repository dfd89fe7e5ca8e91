"""Acting for somebody else, and tokens that end with what they are bound to."""

from __future__ import annotations

from typing import Any

from labkit.apiserver.http.messages import Certified

BOB = Certified("bob", ("dev",))
PODS = "/api/v1/namespaces/default/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


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
