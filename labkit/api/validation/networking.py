"""Ingresses, their classes, NetworkPolicies, IPAddresses, ServiceCIDRs (pkg/apis/networking/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from labkit.api.problem import Problem, forbidden, invalid, required, too_long, unsupported
from labkit.api.validation import numbers, selector, syntax

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
BAD_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
BAD_ENDS = ("/..", "/.")
POLICY_TYPES = ("Egress", "Ingress")
SCOPES = ("Cluster", "Namespace")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
LONGEST_CONTROLLER = 250

Fields = dict[str, Any]


def ingress(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        why = "either `defaultBackend` or `rules` must be specified"
        yield invalid("spec", rules, why, "Add a rule.")
    if backend is not None:
        yield from _backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        path = f"spec.rules[{index}]"
        if rule.get("host"):
            yield from _host(rule["host"], f"{path}.host")
        if rule.get("http") is not None:
            yield from _paths(rule["http"], f"{path}.http.paths")
    for index, tls in enumerate(spec.get("tls") or []):
        path = f"spec.tls[{index}]"
        for number, host in enumerate(tls.get("hosts") or []):
            check = syntax.wildcard_subdomain if "*" in host else syntax.dns_subdomain
            yield from syntax.checked(f"{path}.hosts[{number}]", host, check)
        if tls.get("secretName"):
            yield from syntax.checked(f"{path}.secretName", tls["secretName"], syntax.dns_subdomain)
    name = spec.get("ingressClassName")
    if name is not None:
        yield from syntax.checked("spec.ingressClassName", name, syntax.dns_subdomain)
        given = ((obj.get("metadata") or {}).get("annotations") or {}).get(CLASS_ANNOTATION, name)
        if given != name:
            why = "must match `ingressClassName` when both are specified"
            yield invalid(f"annotations.{CLASS_ANNOTATION}", given, why, "Remove the annotation.")


def _host(host: str, path: str) -> Iterator[Problem]:
    if not list(syntax.address(host)):
        yield invalid(path, host, "must be a DNS name, not an IP address", "Leave the host out, or write a name.")
    yield from syntax.checked(path, host, syntax.wildcard_subdomain if "*" in host else syntax.dns_subdomain)


def _paths(http: Fields, path: str) -> Iterator[Problem]:
    paths = http.get("paths")
    if paths is not None and not paths:
        yield required(path)
    for index, item in enumerate(paths or []):
        where, kind, text = f"{path}[{index}]", item.get("pathType"), item.get("path") or ""
        if kind is not None and kind not in PATH_TYPES:
            yield unsupported(f"{where}.pathType", kind, PATH_TYPES)
        elif kind is not None:
            yield from _path(text, kind, f"{where}.path")
        if item.get("backend") is not None:
            yield from _backend(item["backend"], f"{where}.backend")


def _path(text: str, kind: str, path: str) -> Iterator[Problem]:
    if not text.startswith("/") and (text or kind != "ImplementationSpecific"):
        yield invalid(path, text, "must be an absolute path", "Begin it with a slash.")
    if kind != "ImplementationSpecific":
        for part in BAD_SEQUENCES:
            if part in text:
                yield invalid(path, text, f"must not contain '{part}'", "Write the path plainly.")
        for end in BAD_ENDS:
            if text.endswith(end):
                yield invalid(path, text, f"cannot end with '{end}'", "Write the path plainly.")


def _backend(backend: Fields, path: str) -> Iterator[Problem]:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        yield invalid(path, "", "cannot set both resource and service backends", "Keep one of the two.")
    elif resource is not None:
        yield from _reference(resource, f"{path}.resource")
    elif service is None:
        yield invalid(path, "", "resource or service backend is required", "Add a service.")
    else:
        yield from _service(service, path)


def _service(service: Fields, path: str) -> Iterator[Problem]:
    port = service.get("port") or {}
    if service.get("name") == "":
        yield required(f"{path}.service.name")
    elif service.get("name") is not None:
        yield from syntax.checked(f"{path}.service.name", service["name"], syntax.dns1035_label)
    if port.get("name") and port.get("number"):
        yield invalid(path, "", "cannot set both port name & port number", "Keep one of the two.")
    elif port.get("name"):
        yield from syntax.checked(f"{path}.service.port.name", port["name"], syntax.port_name)
    elif port.get("number"):
        yield from numbers.port(f"{path}.service.port.number", port["number"])
    else:
        yield required(path, "port name or number is required", "Add port with a name or a number.")


def _reference(reference: Fields, path: str) -> Iterator[Problem]:
    """An object by kind and name."""
    if reference.get("apiGroup"):
        yield from syntax.checked(f"{path}.apiGroup", reference["apiGroup"], syntax.dns_subdomain)
    for name in ("kind", "name"):
        if reference.get(name) == "":
            yield required(f"{path}.{name}")
        elif reference.get(name) is not None:
            yield from syntax.checked(f"{path}.{name}", reference[name], syntax.path_segment)


def ingress_class(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    controller, parameters = spec.get("controller") or "", spec.get("parameters")
    if len(controller) > LONGEST_CONTROLLER:
        yield too_long("spec.controller", LONGEST_CONTROLLER)
    if not controller:
        yield required("spec.controller", remedy="Name the controller, such as example.com/ingress.")
    else:
        yield from syntax.checked("spec.controller", controller, syntax.domain_prefixed_path)
    if parameters is None:
        return
    yield from _reference(parameters, "spec.parameters")
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope not in SCOPES:
        yield unsupported("spec.parameters.scope", scope, SCOPES)
    elif scope == "Namespace" and namespace is None:
        yield required("spec.parameters.namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Cluster" and namespace is not None:
        yield forbidden("spec.parameters.namespace", "`parameters.scope` is set to 'Cluster'")


def network_policy(obj: Fields) -> Iterator[Problem]:
    spec = obj.get("spec") or {}
    yield from selector.label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or []):
            path = f"spec.{direction}[{index}]"
            for number, port in enumerate(rule.get("ports") or []):
                yield from _policy_port(port, f"{path}.ports[{number}]")
            for number, peer in enumerate(rule.get(peers) or []):
                yield from _peer(peer, f"{path}.{peers}[{number}]")
    types = spec.get("policyTypes") or []
    if len(types) > len(POLICY_TYPES):
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes", "Name each once.")
        return
    for index, kind in enumerate(types):
        if kind not in POLICY_TYPES:
            yield unsupported(f"spec.policyTypes[{index}]", kind, POLICY_TYPES)


def _policy_port(item: Fields, path: str) -> Iterator[Problem]:
    port, end = item.get("port"), item.get("endPort")
    yield from numbers.protocol(f"{path}.protocol", item.get("protocol", "TCP"))
    if isinstance(port, int):
        yield from numbers.port(f"{path}.port", port)
        if end is not None and end < port:
            yield invalid(f"{path}.endPort", port, "must be greater than or equal to `port`", "Write a larger number.")
        if end is not None:
            yield from numbers.port(f"{path}.endPort", end)
        return
    if port is not None:
        yield from syntax.checked(f"{path}.port", port, syntax.port_name)
    if end is not None:
        why = "when `port` is not specified" if port is None else "when `port` is non-numeric"
        yield invalid(f"{path}.endPort", end, f"may not be specified {why}", "Remove endPort, or write port's number.")


def _peer(peer: Fields, path: str) -> Iterator[Problem]:
    selectors = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in selectors:
        yield from selector.label_selector(peer[name], f"{path}.{name}")
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block(block, f"{path}.ipBlock")
        if selectors:
            yield forbidden(path, "may not specify both ipBlock and another peer", "Make two peers of them.")
    elif not selectors:
        remedy = "Write podSelector, namespaceSelector or ipBlock; an empty selector, {}, means all."
        yield required(path, "must specify a peer", remedy)


def _block(block: Fields, path: str) -> Iterator[Problem]:
    cidr = block.get("cidr")
    if cidr == "":
        yield required(f"{path}.cidr")
    if not cidr:
        return
    found = list(syntax.checked(f"{path}.cidr", cidr, syntax.cidr))
    yield from found
    for index, inner in enumerate(block.get("except") or []):
        where = f"{path}.except[{index}]"
        faults = list(syntax.checked(where, inner, syntax.cidr))
        yield from faults
        if not found and not faults and not _is_inside(inner, cidr):
            yield invalid(where, inner, "must be a strict subset of `cidr`", f"Choose a part of {cidr}.")


def _is_inside(inner: str, outer: str) -> bool:
    small, large = ip_network(inner, strict=False), ip_network(outer, strict=False)
    return small.version == large.version and small.prefixlen > large.prefixlen and small.subnet_of(large)  # type: ignore[arg-type]


def ip_address_object(obj: Fields) -> Iterator[Problem]:
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        yield required("spec.parentRef")
        return
    if parent.get("group"):
        yield from syntax.checked("spec.parentRef.group", parent["group"], syntax.dns_subdomain)
    for name in ("resource", "name"):
        if not parent.get(name):
            yield required(f"spec.parentRef.{name}")
        else:
            yield from syntax.checked(f"spec.parentRef.{name}", parent[name], syntax.path_segment)


def service_cidr(obj: Fields) -> Iterator[Problem]:
    cidrs = (obj.get("spec") or {}).get("cidrs") or []
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required", "Add a range, such as 10.96.0.0/16.")
    elif len(cidrs) > 2:
        yield invalid("spec", cidrs, "may only hold up to 2 values", "Keep one of each family.")
    for index, value in enumerate(cidrs):
        yield from syntax.checked(f"spec.cidrs[{index}]", value, syntax.cidr)
