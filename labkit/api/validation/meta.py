"""`metadata` of any object: name, namespace, labels, annotations (apimachinery/pkg/api/validation/objectmeta.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.kinds import BY_KIND, RBAC
from labkit.api.problem import Problem, forbidden, invalid, required, too_long
from labkit.api.validation import syntax

NAME_CHECKS: dict[str, syntax.Check] = {
    "IPAddress": syntax.address,
    "Namespace": syntax.dns_label,
    "Service": syntax.dns1035_label,
    **{kind: syntax.path_segment for kind, resource in BY_KIND.items() if resource.api_version == RBAC},
}
MAX_ANNOTATIONS = 256 * 1024


def object_meta(obj: dict[str, Any], namespaced: bool | None = None) -> Iterator[Problem]:
    """The metadata of an object; for a custom one, whose kind means nothing here, `namespaced` says its scope."""
    meta = obj.get("metadata") or {}
    kind = obj["kind"]
    custom = namespaced is not None
    yield from _name(meta, syntax.dns_subdomain if custom else NAME_CHECKS.get(kind, syntax.dns_subdomain))
    namespace = meta.get("namespace")
    if not (namespaced if custom else BY_KIND[kind].namespaced):
        if namespace:
            remedy = f"Remove the namespace: a {kind} belongs to the whole cluster."
            yield forbidden("metadata.namespace", "not allowed on this type", remedy)
    elif namespace:
        yield from syntax.checked("metadata.namespace", namespace, syntax.dns_label)
    yield from labels_and_annotations(meta, "metadata")


def _name(meta: dict[str, Any], check: syntax.Check) -> Iterator[Problem]:
    name, prefix = meta.get("name"), meta.get("generateName")
    if name:
        remedy = "Use lower case letters, digits and hyphens, and begin with a letter."
        yield from syntax.checked("metadata.name", name, check, "" if check is syntax.path_segment else remedy)
    elif prefix:
        # The server appends five characters, so the prefix may end in a hyphen.
        yield from (invalid("metadata.generateName", prefix, complaint) for complaint in check(prefix + "x"))
    else:
        yield required("metadata.name", "name or generateName is required", "Give the object a name.")


def labels_and_annotations(meta: dict[str, Any], path: str) -> Iterator[Problem]:
    yield from labels(meta.get("labels") or {}, f"{path}.labels")
    annotations = meta.get("annotations") or {}
    for key in annotations:
        if not syntax.right(key, syntax.annotation_key):
            yield from syntax.checked(f"{path}.annotations[{key}]", key, syntax.annotation_key)
    if sum(len(k) + len(v.encode()) for k, v in annotations.items()) > MAX_ANNOTATIONS:
        yield too_long(f"{path}.annotations", MAX_ANNOTATIONS)


def labels(values: dict[str, str], path: str) -> Iterator[Problem]:
    """Keys and values of a set of labels, or of a selector written as one."""
    for key, value in values.items():
        if syntax.right(key, syntax.qualified_name) and syntax.right(value, syntax.label_value):
            continue
        yield from syntax.checked(f"{path}[{key}]", key, syntax.qualified_name)
        yield from syntax.checked(
            f"{path}[{key}]", value, syntax.label_value, "Labels hold short words; use an annotation."
        )
