r"""What every proxy mode is: a way to make one node do what the Services ask.

    View --> Mode.sync --> the kernel (or a process) of the node
                  \-> Mode.plan, the same as a value: printed, compared, walked by the model tracer

Each folder beside this file is one mode, with its pure part in `plan.py`. Modes know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol, runtime_checkable

import msgspec

from labkit.api.objects import EndpointSlice, Node, Service
from labkit.net.rules import Family
from labkit.proxy.model import Port, PortKey, of_family
from labkit.proxy.tracker import Tracker, tracked


class View(msgspec.Struct, frozen=True):
    """All that the proxy of one node works from, in one address family.

    keys       those of `ports`, sorted
    total      number of endpoints of all ports
    addresses  of the node (InternalIP), of this family, the primary one first
    """

    ports: Mapping[PortKey, Port]
    keys: Sequence[PortKey]
    total: int
    node: str
    zone: str
    addresses: tuple[str, ...]

    @property
    def node_ip(self) -> str:
        """The node's primary address; empty where it has none of this family."""
        return self.addresses[0] if self.addresses else ""


class Mode(Protocol):
    """One mode on one node, for one address family."""

    @property
    def plan(self) -> Any:
        """What the node has now, as a frozen value that prints as the real tool prints it."""

    async def start(self) -> None:
        """Prepare the node: settings, devices, programs. Nothing of an earlier start is there."""

    async def sync(self, view: View, changed: Set[PortKey] | None) -> str:
        """Bring the node to the view. `changed`: the ports that may differ from the last view; None: all may.

        Returns what was applied, as the text that the real tool would be fed; empty where nothing changed. With None
        the node itself is looked at, so that what somebody else deleted comes back. Raises `RuleError` where the
        kernel refuses; the next call then repairs whatever is missing.
        """

    async def stop(self) -> None:
        """Remove all that this mode made on the node, and nothing else."""


@runtime_checkable
class KnowsPods(Protocol):
    """A mode that has to know the network namespaces of its node's pods, and can tell where their connections go."""

    def join(self, path: str) -> None:
        """The namespace at `path` is a pod's, which has sent nothing yet."""

    def leave(self, path: str) -> None:
        """It is no longer."""

    def deliveries(self) -> Deliver:
        """Where connections went that began until now."""


@runtime_checkable
class Relays(Protocol):
    """A mode in which a process passes connections on, and can tell where to."""

    async def relayed(self, protocol: str, asked: Sequence[tuple[str, str]]) -> list[str]:
        """The endpoints (`ip:port`) of connections, each asked for by the client's address and that of the process to
        which it came, both `ip:port`; empty where it is not known. `protocol` in lower case.
        """


@runtime_checkable
class Says(Protocol):
    """A mode that has something to tell in kube-proxy's log, by what it is given for that."""

    say: Callable[..., None]  # level, place, message, facts


@runtime_checkable
class Shows(Protocol):
    """A mode that answers commands of its own, which no program of the lab's nodes does."""

    async def show(self, command: str) -> str:
        """What the command prints. Raises `NotFound`, which names those that there are."""


class Deliver(Protocol):
    """Where a connection went: `ip:port` of the endpoint; empty where the mode has no part in it.

    socket: its cookie (SO_COOKIE); local, remote: `ip:port` as the client sees them; protocol in lower case
    """

    def __call__(self, socket: int, protocol: str, local: str, remote: str) -> str: ...


def view_of(tracker: Tracker, node: Node) -> View:
    """What the proxy of the node sees. The view follows the tracker: it is for the next sync, not to be kept."""
    addresses = tuple(
        a.address for a in node.status.addresses if a.type == "InternalIP" and of_family(a.address, tracker.family)
    )
    return View(tracker.ports, tracker.keys, tracker.total, node.name, node.zone, addresses)


def seen(services: Iterable[Service], slices: Iterable[EndpointSlice], node: Node, family: Family = "IPv4") -> View:
    """What the proxy of `node` sees of these objects."""
    return view_of(tracked(services, slices, family), node)
