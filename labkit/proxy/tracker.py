"""What a proxy knows of the cluster, kept from watch events: every Service port with its endpoints.

    Services, EndpointSlices --> Tracker --> ports, and the keys of those that an event changed

Source: Kubernetes v1.34, pkg/proxy/servicechangetracker.go, endpointschangetracker.go.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from labkit.api.objects import EndpointSlice, Service
from labkit.net.rules import Family
from labkit.proxy import model
from labkit.proxy.model import Port, PortKey

Name = tuple[str, str]  # of a Service: namespace, name


class Tracker:
    """Follows Services and EndpointSlices of one address family, for all nodes.

    ports  what is known; never changed in place by others
    keys   those of `ports`, sorted: kube-proxy walks a Go map, so that the order of its rules differs from run to run
    total  number of endpoints of all ports
    """

    def __init__(self, family: Family = "IPv4") -> None:
        self.family = family
        self.ports: dict[PortKey, Port] = {}
        self.keys: list[PortKey] = []
        self.total = 0
        self._services: dict[Name, Service] = {}
        self._slices: dict[Name, dict[str, EndpointSlice]] = {}
        self._owner: dict[Name, Name] = {}  # of a slice: its Service
        self._of: dict[Name, dict[PortKey, Port]] = {}

    def service(self, service: Service, *, gone: bool = False) -> frozenset[PortKey]:
        """Take a Service as it is now; returns the keys of the ports that this changed."""
        name = (service.namespace, service.name)
        if gone:
            self._services.pop(name, None)
        else:
            self._services[name] = service
        return self._update(name)

    def slice(self, slice: EndpointSlice, *, gone: bool = False) -> frozenset[PortKey]:  # noqa: A002 - what it is
        """Take an EndpointSlice as it is now. A slice may change the Service that it belongs to."""
        name, owner = (slice.namespace, slice.name), (slice.namespace, slice.service)
        changed: frozenset[PortKey] = frozenset()
        before = self._owner.pop(name, owner)
        if before != owner:
            del self._slices[before][slice.name]
            changed = self._update(before)
        known = self._slices.setdefault(owner, {})
        if gone:
            known.pop(slice.name, None)
        else:
            known[slice.name] = slice
            self._owner[name] = owner
        if not known:
            del self._slices[owner]
        return changed | self._update(owner)

    def _update(self, name: Name) -> frozenset[PortKey]:
        old = self._of.pop(name, {})
        new = self._read(name)
        if new:
            self._of[name] = new
        for key in old.keys() - new.keys():
            del self.ports[key]
            del self.keys[bisect_left(self.keys, key)]
        for key in new.keys() - old.keys():
            insort(self.keys, key)
        self.ports.update(new)
        self.total += sum(len(p.backends) for p in new.values()) - sum(len(p.backends) for p in old.values())
        return frozenset(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))

    def _read(self, name: Name) -> dict[PortKey, Port]:
        service = self._services.get(name)
        if service is None:
            return {}
        ends = model.backends(self._slices.get(name, {}).values(), self.family)
        return {f.key: Port(f, ends.get(f.key, ())) for f in model.frontends(service, self.family)}


def tracked(services: Iterable[Service], slices: Iterable[EndpointSlice], family: Family = "IPv4") -> Tracker:
    """A tracker that knows these objects."""
    tracker = Tracker(family)
    for service in services:
        tracker.service(service)
    for one in slices:
        tracker.slice(one)
    return tracker
