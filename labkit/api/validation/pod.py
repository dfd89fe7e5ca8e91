"""Pods and pod specs (pkg/apis/core/validation/validation.go, ValidatePodSpec)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from labkit.api import remembered
from labkit.api.problem import Problem, invalid, required, unsupported
from labkit.api.validation import meta, numbers, syntax
from labkit.api.validation.container import containers
from labkit.api.validation.ephemeral import ephemeral_containers, security_context
from labkit.api.validation.scheduling import placement
from labkit.api.validation.volumes import volumes

RESTART_POLICIES = ("Always", "Never", "OnFailure")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_TEXT = 2048
TOKEN_VOLUME = re.compile(rb"kube-api-access-[a-z0-9]{5}")

Spec = dict[str, Any]

_right: remembered.Remembered[bool] = remembered.Remembered()
"""Specs in which nothing is wrong."""


def pod(obj: dict[str, Any]) -> Iterator[Problem]:
    text = _text(obj["spec"])
    if _right.get("Pod", text):
        return
    found = list(pod_spec(obj["spec"], "spec"))
    if not found:
        _right.put("Pod", text, True)
    yield from found


def _text(spec: Spec) -> bytes:
    """The spec's text as JSON, in which a name that was drawn for a volume with a token counts for any other such name:
    no check can tell them apart, and each pod has another. A NUL is in no JSON text.
    """
    text = remembered.json_text(spec)
    name = TOKEN_VOLUME.search(text)
    return text.replace(name[0], b"\0") if name else text


def pod_spec(spec: Spec, path: str) -> Iterator[Problem]:
    """The spec of a pod, or of a workload's template."""
    yield from containers(spec, path)
    yield from volumes(spec, path)
    yield from placement(spec, path)
    yield from ephemeral_containers(spec, path)
    yield from security_context(spec.get("securityContext") or {}, f"{path}.securityContext")
    if spec["restartPolicy"] not in RESTART_POLICIES:
        yield unsupported(f"{path}.restartPolicy", spec["restartPolicy"], RESTART_POLICIES)
    yield from _dns(spec, path)
    yield from numbers.not_negative(spec, path, "terminationGracePeriodSeconds")
    if spec.get("activeDeadlineSeconds") is not None:
        yield from numbers.within(f"{path}.activeDeadlineSeconds", spec["activeDeadlineSeconds"], 1, 2**31 - 1)
    for name in ("hostname", "subdomain"):
        if spec.get(name):
            yield from syntax.checked(f"{path}.{name}", spec[name], syntax.dns_label)
    for name in ("nodeName", "serviceAccountName"):
        if spec.get(name):
            yield from syntax.checked(f"{path}.{name}", spec[name], syntax.dns_subdomain)
    yield from meta.labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    for index, alias in enumerate(spec.get("hostAliases") or []):
        if alias.get("ip") is not None:
            yield from syntax.checked(f"{path}.hostAliases[{index}].ip", alias["ip"], syntax.address)
        for number, name in enumerate(alias.get("hostnames") or []):
            yield from syntax.checked(f"{path}.hostAliases[{index}].hostnames[{number}]", name, syntax.dns_subdomain)


def _dns(spec: Spec, path: str) -> Iterator[Problem]:
    policy, config = spec["dnsPolicy"], spec.get("dnsConfig")
    if policy not in DNS_POLICIES:
        yield unsupported(f"{path}.dnsPolicy", policy, DNS_POLICIES)
    if policy == "None":
        if config is None:
            detail = "must provide `dnsConfig` when `dnsPolicy` is None"
            yield required(f"{path}.dnsConfig", detail, "Add dnsConfig with a nameserver.")
        elif not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required(f"{path}.dnsConfig.nameservers", detail, "Add a nameserver.")
    if config is not None:
        yield from _dns_config(config, f"{path}.dnsConfig")


def _dns_config(config: Spec, path: str) -> Iterator[Problem]:
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > MAX_NAMESERVERS:
        detail = f"must not have more than {MAX_NAMESERVERS} nameservers"
        yield invalid(f"{path}.nameservers", servers, detail, f"Keep {MAX_NAMESERVERS}: resolvers use no more.")
    for index, server in enumerate(servers):
        yield from syntax.checked(f"{path}.nameservers[{index}]", server, syntax.address)
    if len(searches) > MAX_SEARCHES:
        yield invalid(
            f"{path}.searches", searches, f"must not have more than {MAX_SEARCHES} search paths", "Remove some."
        )
    if len(" ".join(searches)) > MAX_SEARCH_TEXT:
        detail = f"must not have more than {MAX_SEARCH_TEXT} characters (including spaces) in the search list"
        yield invalid(f"{path}.searches", searches, detail, "Remove some.")
    for index, search in enumerate(searches):
        yield from syntax.checked(f"{path}.searches[{index}]", search, syntax.search_domain)
    for index, option in enumerate(config.get("options") or []):
        if not option.get("name"):
            yield required(f"{path}.options[{index}].name", "must not be empty", "Name the option, such as ndots.")
