"""CoreDNS's kubernetes plugin: the answer to a question, from the objects of the cluster. Pure.

    name  ->  zone, parse  ->  found hosts (None: no such name, empty: no data)  ->  records of the type asked for

Follows the Kubernetes DNS specification 1.1.0 and, where that leaves it open, CoreDNS 1.12
(plugin/kubernetes/kubernetes.go, parse.go, reverse.go, ns.go; plugin/backend_lookup.go), its oddities included.
"""

from __future__ import annotations

import msgspec

from labkit.dns.corefile import Kubernetes
from labkit.dns.index import NO_PORT, Index, cluster_ips, packed
from labkit.net import dnsrecords as dns
from labkit.net.dnsrecords import Question, Record, Response

VERSION = "1.1.0"
VERSION_TTL = 28800
MAX_CNAMES = 8


class Host(msgspec.Struct, frozen=True):
    """Something found: an address, or the name that an ExternalName Service points to; `name` is its own name."""

    name: str
    type: int
    target: str
    port: int = 0


class View(msgspec.Struct, frozen=True):
    """What one question is answered from. `addresses` are the server's own: the zone's name servers."""

    index: Index
    config: Kubernetes
    zone: str
    addresses: tuple[str, ...]


def answer(question: Question, index: Index, config: Kubernetes, addresses: tuple[str, ...] = ()) -> Response | None:
    """What the plugin answers; None where the name is not in its zones, or falls through to the next plugin."""
    name = question.name.lower()
    zone = dns.best_zone(name, config.zones)
    if zone is None:
        return None
    view = View(index, config, zone, addresses)
    found = _respond(view, question, name)
    if found is None:
        if any(dns.within(name, z) for z in config.fallthrough):
            return None
        return Response(dns.NXDOMAIN, authority=(_soa(view),))
    if not found.answer:
        return Response(authority=(_soa(view),))
    return found


def _respond(view: View, question: Question, name: str) -> Response | None:
    """The records for a question: None if the name does not exist, no answer if it has nothing of that type."""
    match question.type:
        case dns.A | dns.AAAA:
            return _addresses(view, question.name, question.type)
        case dns.TXT:
            return _version(view, question.name, name)
        case dns.CNAME:
            found = _hosts(view, name)
            return None if found is None else Response(answer=_cname(view, question.name, found))
        case dns.SRV:
            return _services(view, question.name, name)
        case dns.PTR:
            return _reverse(view, question.name, name)
        case dns.SOA if name == view.zone:
            return Response(answer=(_soa(view),))
        case dns.NS if name == view.zone:
            return _name_servers(view, question.name)
    return None if _hosts(view, name) is None else Response()


def _addresses(view: View, asked: str, kind: int, links: int = 0) -> Response | None:
    """A or AAAA records. A CNAME inside the zone is followed here; one that leads out is left in `target`.

    A CNAME that leads nowhere in the zone, or in a circle, is left out, so that its name has no data.
    """
    found = _hosts(view, asked.lower())
    if found is None:
        return None
    for host in found:
        if host.type == dns.CNAME:
            target = dns.qualified(host.target).lower()
            if links == MAX_CNAMES:
                return Response()
            link = Record(asked, dns.CNAME, view.config.ttl, dns.qualified(host.target))
            if not dns.within(target, view.zone):
                return Response(answer=(link,), target=target)
            end = _addresses(view, dns.qualified(host.target), kind, links + 1)
            if end is None or not end.answer:
                return Response()
            return Response(answer=(link, *end.answer), target=end.target)
    texts = dict.fromkeys(host.target for host in found if host.type == kind)
    return Response(answer=tuple(Record(asked, kind, view.config.ttl, text) for text in texts))


def _version(view: View, asked: str, name: str) -> Response | None:
    """The one TXT record, `dns-version`. Unlike other types, a name without hosts is reported as absent."""
    if name == f"dns-version.{view.zone}":
        return Response(answer=(Record(asked, dns.TXT, VERSION_TTL, VERSION),))
    return Response() if _hosts(view, name) else None


def _cname(view: View, asked: str, found: list[Host]) -> tuple[Record, ...]:
    if not found or found[0].type != dns.CNAME:
        return ()
    return (Record(asked, dns.CNAME, view.config.ttl, dns.qualified(found[0].target)),)


def _services(view: View, asked: str, name: str) -> Response | None:
    """SRV records, weighted 100 / number of hosts, and the addresses of their targets. None for ExternalName."""
    found = _hosts(view, name)
    if found is None:
        return None
    hosts = [host for host in found if host.type != dns.CNAME]
    ttl = view.config.ttl
    weight = max(1, 100 // len(hosts)) if hosts else 0
    ported = [host for host in hosts if host.port != NO_PORT]
    targets = dict.fromkeys((host.name, host.port) for host in ported)
    extra = dict.fromkeys(Record(host.name, host.type, ttl, host.target) for host in ported)
    answer = tuple(Record(asked, dns.SRV, ttl, dns.Srv(0, weight, port, target)) for target, port in targets)
    return Response(answer=answer, additional=tuple(extra))


def _reverse(view: View, asked: str, name: str) -> Response | None:
    """The PTR record of a cluster IP, else those of all ready endpoints at the address."""
    address = reverse_address(name)
    if address is None:
        return None if _hosts(view, name) is None else Response()
    zone = next((z for z in view.config.zones if not z.endswith(".arpa.")), ".")
    names = [f"{_domain(key)}.svc.{zone}" for key in view.index.services_at(address) if _exposed_key(view, key)][:1]
    if not names:
        pod_names = view.config.endpoint_pod_names
        for key, backend in view.index.backends_at(address):
            if _exposed_key(view, key):
                names.append(f"{backend.label(pod_names)}.{_domain(key)}.svc.{zone}")
    answer = tuple(Record(asked, dns.PTR, view.config.ttl, target) for target in dict.fromkeys(names))
    return Response(answer=answer) if answer else None


def _name_servers(view: View, asked: str) -> Response:
    """NS records of the zone: the Services that this server stands behind, else `ns.dns` at its own addresses."""
    hosts = _server_hosts(view)
    answer = tuple(Record(asked, dns.NS, view.config.ttl, name) for name in dict.fromkeys(h.name for h in hosts))
    return Response(answer=answer, additional=tuple(Record(h.name, h.type, view.config.ttl, h.target) for h in hosts))


def _server_hosts(view: View) -> list[Host]:
    """Names and addresses under which this server is reached."""
    hosts = []
    for address in filter(None, map(packed, view.addresses)):
        for key in sorted({key for key, _ in view.index.backends_at(address)}):
            service = view.index.services.get(key)
            if service is None:
                continue
            base = f"{_domain(key)}.svc.{view.zone}"
            if service.headless:
                pod_names = view.config.endpoint_pod_names
                hosts += [_host(f"{b.label(pod_names)}.{base}", b.address) for b in view.index.backends(key)]
            else:
                hosts += [_host(base, ip) for ip in cluster_ips(service)]
    return hosts or [_host(f"ns.dns.{view.zone}", address) for address in view.addresses]


def _hosts(view: View, name: str) -> list[Host] | None:
    """All that a lower-case name stands for, whatever the type: None no such name, empty where it has no hosts."""
    if name == f"ns.dns.{view.zone}":
        return [_host(name, host.target) for host in _server_hosts(view)]
    labels = name[: -len(view.zone)].rstrip(".").split(".") if name != view.zone else []
    if not labels:
        return []
    *front, kind = labels
    if kind not in ("svc", "pod"):
        return None
    if not front:
        return []
    namespace = front.pop()
    if not _exposed(view, namespace):
        return None
    if kind == "pod" and view.config.pods == "disabled":
        return None
    if not front:
        return []
    leaf = front.pop()
    if len(front) > 2:
        return None
    return _pod(view, namespace, leaf) if kind == "pod" else _service(view, namespace, leaf, front)


def _pod(view: View, namespace: str, dashed: str) -> list[Host] | None:
    """A pod's record: the address that its name spells, checked against the pods in `pods verified`."""
    ipv4 = dashed.count("-") == 3 and "--" not in dashed
    text = dashed.replace("-", "." if ipv4 else ":")
    address = packed(text)
    if address is None or (view.config.pods == "verified" and not view.index.pod_at(address, namespace)):
        return None
    return [_host(f"{dashed}.{namespace}.pod.{view.zone}", text)]


def _service(view: View, namespace: str, name: str, front: list[str]) -> list[Host] | None:
    """A Service's hosts; `front` is empty, [endpoint] or [_port, _protocol]."""
    key = f"{namespace}/{name}"
    service = view.index.services.get(key)
    if service is None:
        return None
    base = f"{name}.{namespace}.svc.{view.zone}"
    endpoint = front[0] if len(front) == 1 else ""
    port, protocol = (label.removeprefix("_") for label in front) if len(front) == 2 else ("", "")
    if service.spec.type == "ExternalName":
        external = service.spec.external_name
        return None if front or packed(external) else [Host(base, dns.CNAME, external)]
    hosts: list[Host] = []
    if service.headless or endpoint:
        for backend in view.index.backends(key):
            label = backend.label(view.config.endpoint_pod_names)
            if endpoint in ("", label.lower()):
                ports = (p for p in backend.ports if _matches(port, p.name) and _matches(protocol, p.protocol))
                hosts += [_host(f"{label}.{base}", backend.address, p.number) for p in ports]
        return hosts or None
    if view.config.ignore_empty_service and not view.index.backends(key):
        return None
    for p in service.spec.ports:
        if _matches(port, p.name) and _matches(protocol, p.protocol):
            hosts += [_host(base, ip, p.port) for ip in cluster_ips(service)]
    return hosts or None


def _host(name: str, address: str, port: int = 0) -> Host:
    return Host(name, dns.AAAA if ":" in address else dns.A, address, port)


def _matches(asked: str, own: str) -> bool:
    return not asked or asked == own.lower()


def _exposed(view: View, namespace: str) -> bool:
    listed = view.config.namespaces
    return namespace in view.index.namespaces and (not listed or namespace in listed)


def _exposed_key(view: View, key: str) -> bool:
    return not view.config.namespaces or key.partition("/")[0] in view.config.namespaces


def _domain(key: str) -> str:
    """`namespace/name` as it stands in a DNS name."""
    namespace, _, name = key.partition("/")
    return f"{name}.{namespace}"


def _soa(view: View) -> Record:
    ttl, zone = view.config.ttl, view.zone
    own = "" if zone == "." else zone
    soa = dns.Soa(f"ns.dns.{own}", f"hostmaster.{own}", view.index.serial % 2**32, 7200, 1800, 86400, ttl)
    return Record(zone, dns.SOA, min(300, ttl), soa)


def reverse_address(name: str) -> bytes | None:
    """The address that a lower-case name below in-addr.arpa or ip6.arpa spells out in full, else None."""
    if name.endswith(".in-addr.arpa."):
        return packed(".".join(reversed(name.removesuffix(".in-addr.arpa.").split("."))))
    digits = name.removesuffix(".ip6.arpa.").split(".")
    if name.endswith(".ip6.arpa.") and len(digits) == 32 and all(len(d) == 1 for d in digits):
        try:
            return bytes.fromhex("".join(reversed(digits)))
        except ValueError:
            return None
    return None
