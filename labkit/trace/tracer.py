"""The live tracer: one real request, watched on every interface and at every rule.

    taps everywhere, rules marked ── the request ── read all ── take everything back ── correlate

Nothing has to be waited for after the request: its answer came later than all that its first packets caused, and the
kernel queues frames and reports while it handles the packet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from labkit.linux.conntrack_events import NewConnections
from labkit.linux.iptables import Variant
from labkit.net.path import PacketPath
from labkit.net.place import Place
from labkit.trace import correlate
from labkit.trace.balanced import virtual_servers, with_balancing
from labkit.trace.capture import Capture, Clock, Seen, Tap, owners
from labkit.trace.connections import Connections
from labkit.trace.correlate import Asked
from labkit.trace.rules import Evaluated, RuleTrace, open_trace
from labkit.trace.translations import translations, with_lookups
from labkit.traffic import target

A = TypeVar("A")
B = TypeVar("B")
Request = Callable[[], Awaitable[Mapping[str, Any]]]

_WITH_RULES = ("node", "router")


class Tracer:
    """Takes traces, one at a time. `variant`: the iptables that the nodes' rules are written with."""

    def __init__(self, variant: Variant) -> None:
        self._variant = variant
        self._one = asyncio.Lock()
        self._clock = Clock()

    def close(self) -> None:
        self._clock.close()

    async def trace(self, places: Sequence[Place], source: Place, url: str, request: Request) -> PacketPath:
        """The way of the first packet of one request from `source` to `url` (as `labkit.traffic.target` reads it).

        places   all of the lab's
        request  performs the request once and returns its row (`labkit.traffic`: status, error, local)

        Raises `TraceError` where no packet left the source or the rules changed meanwhile, and what `request` raises.
        """
        goal = target.parse(url)
        protocol = "UDP" if goal.scheme == "udp" else "TCP"
        async with self._one:
            session = _Session(self._variant, places, protocol, _sources(places, source))
            try:
                await _finished(partial(self._clock.wait, session.loopback))
                await _finished(session.open)
                session.watch()
                row = await request()
            finally:
                session.unwatch()
                await _finished(session.close)
            home = next(place.name for place in owners(places) if place.netns == source.netns)
            return await _finished(partial(session.path, Asked(source, home, url, protocol, goal.port, row)))


class _Session:
    """The sockets and rules of one trace. `open`, `close` and `path` block: they run in a thread."""

    def __init__(self, variant: Variant, places: Sequence[Place], protocol: str, sources: Sequence[str]) -> None:
        self._variant, self._places = variant, places
        self._armed = [place for place in places if place.kind in _WITH_RULES]
        self._protocol, self._sources = protocol, sources
        # Any network with its loopback up; a learner may have put down a pod's.
        self.loopback = (self._armed or list(places))[0].netns
        self._watched: list[int] = []
        self._traces: list[RuleTrace] = []
        self._births: dict[str, NewConnections] = {}
        self._capture: Capture | None = None
        self._seen: list[Seen] = []
        self._lost = 0

    def open(self) -> None:
        self._capture = Capture(self._places)
        _side_by_side(self._arm, self._armed)

    def watch(self) -> None:
        """Read while the request goes on, so that no buffer fills up."""
        loop = asyncio.get_running_loop()
        taps = self._capture.taps if self._capture else ()
        sources: list[Tap | RuleTrace | NewConnections] = [*taps, *self._traces, *self._births.values()]
        for source in sources:
            loop.add_reader(source.fileno(), source.drain)
            self._watched.append(source.fileno())

    def unwatch(self) -> None:
        for number in self._watched:
            asyncio.get_running_loop().remove_reader(number)

    def close(self) -> None:
        """Read the rest, then take back all that was opened, whatever of it fails."""
        captures = [self._capture] if self._capture else []
        try:
            for trace in self._traces:
                trace.drain()
            for births in self._births.values():
                births.drain()
            for capture in captures:
                self._seen, lost = capture.finish()
                self._lost = lost + sum(trace.lost() for trace in self._traces)
                self._lost += sum(births.overruns for births in self._births.values())
        finally:
            closing: list[Capture | RuleTrace | NewConnections] = [*captures, *self._traces, *self._births.values()]
            _side_by_side(_close, closing)

    def path(self, asked: Asked) -> PacketPath:
        reported = [frame for trace in self._traces for frame in trace.frames()]
        born = {place: births.flows for place, births in self._births.items()}
        translated = translations(self._armed)
        with Connections(self._armed, born, translated) as connections:
            original = partial(connections.original, asked.home)
            packet, frame = correlate.first_packet(asked, self._seen, reported, original)
            flows = connections.of(packet)
        forms = frozenset(form for found in flows.values() for flow in found for form in correlate.forms(flow))
        first = correlate.First(packet, frame, forms | {packet})

        def hits(trace: RuleTrace) -> list[Evaluated]:
            return trace.hits(first.matches)

        evaluated = [e for found in _side_by_side(hits, self._traces) for e in found]
        evaluated = with_balancing(evaluated, flows, virtual_servers(self._armed, flows))
        evaluated = with_lookups(evaluated, asked, packet, flows, translated)
        return correlate.path(asked, first, self._seen, evaluated, flows, self._lost)

    def _arm(self, place: Place) -> None:
        self._births[place.name] = NewConnections(place.netns)
        self._traces.append(open_trace(self._variant, place, self._protocol, self._sources))


def _close(opened: Capture | RuleTrace | NewConnections) -> None:
    opened.close()


def _side_by_side(function: Callable[[A], B], items: Sequence[A]) -> list[B]:
    """The function's results for all items, each in a thread. All of them have ended when this returns or raises."""
    with ThreadPoolExecutor(max(len(items), 1)) as pool:
        return list(pool.map(function, items))


async def _finished(function: Callable[[], B]) -> B:
    """Run in a thread; a cancelled wait still waits for the thread's end, so that what it opened can be closed."""
    task = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _sources(places: Sequence[Place], source: Place) -> list[str]:
    """The IPv4 addresses that the packet may come from: the source's, or after a masquerade a node's.

    A node has addresses that its place does not list (loopback, its ends of the pods' links): empty, all are watched.
    """
    home = next((place for place in owners(places) if place.netns == source.netns), source)
    own = [address for address in source.addresses if ":" not in address]
    if home.kind in _WITH_RULES or not own:
        return []
    others = [address for place in places if place.kind in _WITH_RULES for address in place.addresses]
    return list(dict.fromkeys([*own, *(address for address in others if ":" not in address)]))
