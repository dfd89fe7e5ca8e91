"""EndpointSlices and Endpoints (pkg/apis/discovery/validation, pkg/apis/core/validation ValidateEndpoints)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from labkit.api.problem import Problem, duplicate, invalid, required, too_many, unsupported
from labkit.api.validation import numbers, syntax

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MAX_ENDPOINTS = 1000
MAX_PORTS = 100
MAX_ADDRESSES = 100
MAX_HINTS = 8


def endpoint_slice(obj: dict[str, Any]) -> Iterator[Problem]:
    family = obj.get("addressType")
    if family is not None and family not in ADDRESS_TYPES:
        yield unsupported("addressType", family, ADDRESS_TYPES)
    items = obj.get("endpoints") or []
    if len(items) > MAX_ENDPOINTS:
        yield too_many("endpoints", len(items), MAX_ENDPOINTS, "Spread them over several EndpointSlices.")
    else:
        for index, item in enumerate(items):
            yield from _endpoint(item, f"endpoints[{index}]", family)
    yield from _ports(obj.get("ports") or [])


def _endpoint(item: dict[str, Any], path: str, family: str | None) -> Iterator[Problem]:
    addresses = item.get("addresses") or []
    if not addresses and item.get("addresses") is not None:
        yield required(f"{path}.addresses", "must contain at least 1 address", "Add an address.")
    if len(addresses) > MAX_ADDRESSES:
        yield too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES)
    for index, address in enumerate(addresses[:MAX_ADDRESSES]):
        yield from _address(address, f"{path}.addresses[{index}]", family)
    if item.get("hostname"):
        yield from syntax.checked(f"{path}.hostname", item["hostname"], syntax.dns_label)
    if item.get("nodeName"):
        yield from syntax.checked(f"{path}.nodeName", item["nodeName"], syntax.dns_subdomain)
    if item.get("zone"):
        yield from syntax.checked(f"{path}.zone", item["zone"], syntax.label_value)
    hints = item.get("hints") or {}
    for field, check in (("forZones", syntax.label_value), ("forNodes", syntax.dns_subdomain)):
        yield from _hints(hints.get(field) or [], f"{path}.hints.{field}", check)


def _hints(items: list[dict[str, Any]], path: str, check: syntax.Check) -> Iterator[Problem]:
    if len(items) > MAX_HINTS:
        yield too_many(path, len(items), MAX_HINTS)
        return
    names: set[str] = set()
    for index, item in enumerate(items):
        name = item.get("name") or ""
        if name in names:
            yield duplicate(f"{path}[{index}].name", name)
        names.add(name)
        yield from syntax.checked(f"{path}[{index}].name", name, check)


def _address(address: str, path: str, family: str | None) -> Iterator[Problem]:
    if family == "FQDN":
        yield from syntax.checked(path, address, syntax.dns_subdomain)
        return
    found = list(syntax.checked(path, address, syntax.endpoint_address))
    yield from found
    if not found and family in ("IPv4", "IPv6") and f"IPv{ip_address(address).version}" != family:
        yield invalid(path, address, f"must be an {family} address", f"The slice's addressType is {family}.")


def _ports(ports: list[dict[str, Any]]) -> Iterator[Problem]:
    if len(ports) > MAX_PORTS:
        yield too_many("ports", len(ports), MAX_PORTS)
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            yield from syntax.checked(f"{path}.name", name, syntax.dns_label)
        if name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)
        yield from numbers.protocol(f"{path}.protocol", port["protocol"])
        if port.get("port") is not None:
            yield from numbers.port(f"{path}.port", port["port"])
        if port.get("appProtocol"):
            yield from syntax.checked(f"{path}.appProtocol", port["appProtocol"], syntax.qualified_name)


def endpoints(obj: dict[str, Any]) -> Iterator[Problem]:
    for number, subset in enumerate(obj.get("subsets") or []):
        path = f"subsets[{number}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            yield required(path, "must specify `addresses` or `notReadyAddresses`", "Add an address.")
        for group in ("addresses", "notReadyAddresses"):
            for index, address in enumerate(subset.get(group) or []):
                yield from _legacy_address(address, f"{path}.{group}[{index}]")
        ports = subset.get("ports") or []
        for index, port in enumerate(ports):
            yield from _legacy_port(port, f"{path}.ports[{index}]", len(ports) > 1)


def _legacy_address(address: dict[str, Any], path: str) -> Iterator[Problem]:
    if address.get("ip") is not None:
        yield from syntax.checked(f"{path}.ip", address["ip"], syntax.endpoint_address)
    if address.get("hostname"):
        yield from syntax.checked(f"{path}.hostname", address["hostname"], syntax.dns_label)
    if address.get("nodeName"):
        yield from syntax.checked(f"{path}.nodeName", address["nodeName"], syntax.dns_subdomain)


def _legacy_port(port: dict[str, Any], path: str, need_name: bool) -> Iterator[Problem]:
    if port.get("name"):
        yield from syntax.checked(f"{path}.name", port["name"], syntax.dns_label)
    elif need_name:
        yield required(f"{path}.name", remedy="Give each port a name: several ports need them.")
    if port.get("port") is not None:
        yield from numbers.port(f"{path}.port", port["port"])
    yield from numbers.protocol(f"{path}.protocol", port["protocol"])
