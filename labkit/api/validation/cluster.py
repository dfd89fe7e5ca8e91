"""The remaining kinds with rules of their own: Node, ConfigMap and Secret (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, duplicate, required, too_long
from labkit.api.validation import syntax

MAX_DATA = 1024 * 1024


def node(obj: dict[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, value in enumerate((obj.get("spec") or {}).get("podCIDRs") or []):
        yield from syntax.checked(f"spec.podCIDRs[{index}]", value, syntax.cidr)
        if value in seen:
            yield duplicate(f"spec.podCIDRs[{index}]", value)
        seen.add(value)


def config_map(obj: dict[str, Any]) -> Iterator[Problem]:
    """Keys become file names, so a ConfigMap's and a Secret's follow one rule."""
    size = 0
    for name in ("data", "binaryData"):
        for key, value in (obj.get(name) or {}).items():
            yield from syntax.checked(f"{name}[{key}]", key, syntax.config_key)
            size += len(value.encode())
    if size > MAX_DATA:
        yield too_long("data", MAX_DATA)


REQUIRED_KEYS = {
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def secret(obj: dict[str, Any]) -> Iterator[Problem]:
    """Some types ask for keys, and one for the ServiceAccount that it is for."""
    yield from config_map(obj)
    kind = obj.get("type") or ""
    given = {**(obj.get("data") or {}), **(obj.get("stringData") or {})}
    for key in REQUIRED_KEYS.get(kind, ()):
        if key not in given:
            yield required(f"data[{key}]", remedy=f"A Secret of type {kind} holds it.")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(given):
        yield required("data[username]", remedy="Add username or password.")
        yield required("data[password]", remedy="Add username or password.")
    account = "kubernetes.io/service-account.name"
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(account):
        yield required(f"metadata.annotations[{account}]", remedy="Name the ServiceAccount there.")
