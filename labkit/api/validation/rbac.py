"""Roles and their bindings (pkg/apis/rbac/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.validation import selector, syntax

GROUP = "rbac.authorization.k8s.io"
SUBJECTS = ("Group", "ServiceAccount", "User")

Fields = dict[str, Any]


def role(obj: Fields) -> Iterator[Problem]:
    for index, rule in enumerate(obj.get("rules") or []):
        yield from _rule(rule, obj["kind"] == "Role", f"rules[{index}]")
    aggregation = obj.get("aggregationRule")
    if aggregation is not None:
        selectors = aggregation.get("clusterRoleSelectors") or []
        if not selectors:
            why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
            yield required("aggregationRule.clusterRoleSelectors", why)
        for index, item in enumerate(selectors):
            yield from selector.label_selector(item, f"aggregationRule.clusterRoleSelectors[{index}]")


def _rule(rule: Fields, namespaced: bool, path: str) -> Iterator[Problem]:
    if not rule.get("verbs"):
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls:
        if namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield invalid(f"{path}.nonResourceURLs", urls, why, "Write it in a ClusterRole.")
        if any(rule.get(name) for name in ("apiGroups", "resources", "resourceNames")):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(f"{path}.nonResourceURLs", urls, why, "Make two rules of it.")
        return
    if not rule.get("apiGroups"):
        why = "resource rules must supply at least one api group"
        yield required(f"{path}.apiGroups", why, 'Add apiGroups; the core group is "".')
    if not rule.get("resources"):
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def binding(obj: Fields) -> Iterator[Problem]:
    reference, namespaced = obj.get("roleRef") or {}, obj["kind"] == "RoleBinding"
    if reference.get("apiGroup", GROUP) != GROUP:
        yield unsupported("roleRef.apiGroup", reference["apiGroup"], (GROUP,))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if reference.get("kind") is not None and reference["kind"] not in kinds:
        yield unsupported("roleRef.kind", reference["kind"], kinds)
    if reference.get("name") == "":
        yield required("roleRef.name")
    elif reference.get("name") is not None:
        yield from syntax.checked("roleRef.name", reference["name"], syntax.path_segment)
    for index, subject in enumerate(obj.get("subjects") or []):
        yield from _subject(subject, namespaced, f"subjects[{index}]")


def _subject(subject: Fields, namespaced: bool, path: str) -> Iterator[Problem]:
    kind, group, namespace = subject.get("kind"), subject.get("apiGroup") or "", subject.get("namespace")
    if subject.get("name") == "":
        yield required(f"{path}.name")
    if kind is None:
        return
    if kind not in SUBJECTS:
        yield unsupported(f"{path}.kind", kind, SUBJECTS)
    elif kind == "ServiceAccount":
        if subject.get("name"):
            yield from syntax.checked(f"{path}.name", subject["name"], syntax.dns_subdomain)
        if group:
            yield unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not namespace:
            yield required(f"{path}.namespace")
    else:
        if group != GROUP:
            yield unsupported(f"{path}.apiGroup", group, (GROUP,))
        if namespace:
            yield forbidden(f"{path}.namespace", f"{kind}s have no namespace")
