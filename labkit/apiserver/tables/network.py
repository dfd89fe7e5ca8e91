"""The tables of Services and all that is about traffic: endpoints, Ingresses, policies, addresses.

Source: pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver.tables.columns import AGE, NAME, Column, Printer, View, wide
from labkit.apiserver.tables.human import since
from labkit.apiserver.tables.words import NONE, first, labels, selector_or_none, shortened

Raw = dict[str, Any]


def _age(o: Raw, view: View) -> str:
    return since(o["metadata"].get("creationTimestamp"), view.now)


def _service(o: Raw, view: View) -> list[Any]:
    spec = o.get("spec") or {}
    return [
        o["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        first([*(spec.get("clusterIPs") or ()), spec.get("clusterIP")], NONE),
        _external(spec, o.get("status") or {}),
        ",".join(_port(port) for port in spec.get("ports") or ()) or NONE,
        _age(o, view),
        labels(spec.get("selector")),
    ]


def _external(spec: Raw, status: Raw) -> str:
    listed = list(spec.get("externalIPs") or ())
    match spec.get("type", "ClusterIP"):
        case "ClusterIP" | "NodePort":
            return ",".join(listed) or NONE
        case "LoadBalancer":
            balanced = _balancer(status)
            return ",".join([balanced, *listed] if balanced else listed) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName", ""))
    return "<unknown>"


def _balancer(status: Raw) -> str:
    listed = (status.get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(sorted({i.get("ip") or i.get("hostname") or "" for i in listed} - {""}))


def _port(port: Raw) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node}/{port.get('protocol', 'TCP')}"


def _endpoints(o: Raw, view: View) -> list[Any]:
    found: list[str] = []
    for subset in o.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [_joined(address, port["port"]) for port in ports for address in addresses] if ports else addresses
    text = shortened(found, view.whole, "") if o.get("subsets") else NONE
    return [o["metadata"]["name"], text, _age(o, view)]


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _slice(o: Raw, view: View) -> list[Any]:
    ports = [str(first([_number(port), port.get("name")], "*")) for port in o.get("ports") or ()]
    addresses = [address for endpoint in o.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    cells = [o["metadata"]["name"], o.get("addressType", "")]
    return [*cells, shortened(ports), shortened(addresses, view.whole), _age(o, view)]


def _number(port: Raw) -> str | None:
    return None if port.get("port") is None else str(port["port"])


def _ingress(o: Raw, view: View) -> list[Any]:
    spec = o.get("spec") or {}
    return [
        o["metadata"]["name"],
        spec.get("ingressClassName") or NONE,
        _hosts(spec.get("rules") or []),
        _balancer(o.get("status") or {}),
        "80, 443" if spec.get("tls") else "80",
        _age(o, view),
    ]


def _hosts(rules: list[Raw]) -> str:
    """The hosts of the first rules. Past three hosts, the rules that follow are counted, with a host or without."""
    shown: list[str] = []
    for rule in rules:
        if len(shown) == 3:
            return f"{','.join(shown)} + {len(rules) - 3} more..."
        if rule.get("host"):
            shown.append(rule["host"])
    return ",".join(shown) or "*"


def _ingress_class(o: Raw, view: View) -> list[Any]:
    spec = o.get("spec") or {}
    given = spec.get("parameters")
    parameters = NONE
    if given:
        kind = f"{given['kind']}.{given['apiGroup']}" if given.get("apiGroup") is not None else given["kind"]
        parameters = f"{kind}/{given['name']}"
    return [o["metadata"]["name"], spec.get("controller", ""), parameters, _age(o, view)]


def _policy(o: Raw, view: View) -> list[Any]:
    spec = o.get("spec") or {}
    return [o["metadata"]["name"], selector_or_none(spec.get("podSelector")), _age(o, view)]


def _cidr(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], ",".join((o.get("spec") or {}).get("cidrs") or ()), _age(o, view)]


def _address(o: Raw, view: View) -> list[Any]:
    parent = (o.get("spec") or {}).get("parentRef")
    if not parent:
        return [o["metadata"]["name"], NONE]
    resource = ".".join(part for part in (parent.get("resource", ""), parent.get("group", "")) if part).lower()
    steps = [resource, parent.get("namespace", ""), parent.get("name", "")]
    return [o["metadata"]["name"], "/".join(step for step in steps if step)]


SERVICE = (
    NAME,
    Column("Type", "core.v1.ServiceSpec.type"),
    Column("Cluster-IP", "core.v1.ServiceSpec.clusterIP"),
    Column("External-IP", "core.v1.ServiceSpec.externalIPs"),
    Column("Port(s)", "core.v1.ServiceSpec.ports"),
    AGE,
    wide("Selector", "core.v1.ServiceSpec.selector"),
)
SLICE = (
    NAME,
    Column("AddressType", "discovery.v1.EndpointSlice.addressType"),
    Column("Ports", "discovery.v1.EndpointSlice.ports"),
    Column("Endpoints", "discovery.v1.EndpointSlice.endpoints"),
    AGE,
)
INGRESS = (
    NAME,
    Column("Class", text="The name of the IngressClass resource that should be used for additional configuration"),
    Column("Hosts", text="Hosts that incoming requests are matched against before the ingress rule"),
    Column("Address", text="Address is a list containing ingress points for the load-balancer"),
    Column("Ports", text="Ports of TLS configurations that open"),
    AGE,
)
INGRESS_CLASS = (
    NAME,
    Column("Controller", text="Controller that is responsible for handling this class"),
    Column("Parameters", text="A reference to a resource with additional parameters"),
    AGE,
)

PRINTERS = {
    "Service": Printer(SERVICE, _service),
    "Endpoints": Printer((NAME, Column("Endpoints", "core.v1.Endpoints.subsets"), AGE), _endpoints),
    "EndpointSlice": Printer(SLICE, _slice),
    "Ingress": Printer(INGRESS, _ingress),
    "IngressClass": Printer(INGRESS_CLASS, _ingress_class),
    "NetworkPolicy": Printer(
        (NAME, Column("Pod-Selector", "networking.v1.NetworkPolicySpec.podSelector"), AGE), _policy
    ),
    "ServiceCIDR": Printer((NAME, Column("CIDRs", "networking.v1.ServiceCIDRSpec.cidrs"), AGE), _cidr),
    "IPAddress": Printer((NAME, Column("ParentRef", "networking.v1.IPAddressSpec.parentRef")), _address),
}
