"""What serves one Service on a node in ipvs mode: its virtual servers with their real ones, entries of sets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labkit.net.ipset import AddressSet, Element
from labkit.net.ipvs import VirtualServer

Row = dict[str, object]


def serving(service: Mapping[str, Any], servers: Iterable[VirtualServer], sets: Iterable[AddressSet]) -> list[Row]:
    """Rows TABLE ("ipvs" or "ipset"), CHAIN (the virtual server, the set), NUMBER, RULE, as the tools print them.

    NUMBER counts the real servers from 1; 0 is the virtual server itself, and every entry of a set, which has no order.
    """
    spec = service["spec"]
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    addresses = {*spec.get("clusterIPs", ()), *spec.get("externalIPs", ()), *(one.get("ip") for one in ingress)}
    ports = {(str(port.get("protocol", "TCP")).lower(), port["port"]) for port in spec.get("ports", ())}
    numbers = {(str(p.get("protocol", "TCP")).lower(), p["nodePort"]) for p in spec.get("ports", ()) if "nodePort" in p}
    if check := spec.get("healthCheckNodePort"):
        numbers.add(("tcp", check))
    rows: list[Row] = []
    for one in servers:
        protocol, ip, port = one.key
        if (ip in addresses and (protocol, port) in ports) or (protocol, port) in numbers:
            rows.append(_row("ipvs", one.name, 0, f"-A {one.settings}"))
            rows += [_row("ipvs", one.name, n, one.added(real)) for n, real in enumerate(one.listed, 1)]

    def named(name: str, element: Element) -> bool:
        """Sets of ports alone have no protocol in them, but in their names."""
        if not element.ip:
            protocol = "udp" if name.endswith("UDP") else "tcp"
            return (protocol, element.port) in numbers
        if not element.port:
            return element.ip in addresses
        key = (element.protocol, element.port)
        return (element.ip in addresses and key in ports) or key in numbers

    for known in sets:
        chosen = (element for element in sorted(known.elements) if named(known.name, element))
        rows += [_row("ipset", known.name, 0, f"add {known.name} {element}") for element in chosen]
    return rows


def _row(table: str, chain: str, number: int, text: str) -> Row:
    return {"TABLE": table, "CHAIN": chain, "NUMBER": number, "RULE": text}
