"""Health checks of nodes, for each load balancer its own, at its own pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from labkit.services.cloud.asking import answers
from labkit.services.cloud.balancer import Balancer
from labkit.services.cloud.health import Target


class Checks:
    """Asks the nodes of the balancers that it follows, from the network namespace at `path`.

    changed: told when a verdict has changed
    """

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._balancers: dict[str, Balancer] = {}
        self._targets: dict[str, dict[str, Target]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._rounds: set[asyncio.Task[None]] = set()

    def healthy(self) -> dict[str, frozenset[str]]:
        """Names of healthy nodes by Service."""
        return {
            service: frozenset(name for name, target in targets.items() if target.healthy)
            for service, targets in self._targets.items()
        }

    def follow(self, balancers: Mapping[str, Balancer]) -> None:
        """From now on ask for these."""
        for service in [each for each in self._balancers if each not in balancers]:
            self._timers.pop(service).cancel()
            del self._balancers[service], self._targets[service], self._locks[service]
        for service, balancer in balancers.items():
            before = self._targets.get(service, {})
            self._targets[service] = {name: before.get(name, Target()) for name in balancer.nodes}
            known = self._balancers.get(service)
            self._balancers[service] = balancer
            self._locks.setdefault(service, asyncio.Lock())
            if known is None or known.check != balancer.check:
                self._await(service)

    async def ask(self) -> None:
        """Ask at once, and where that is not the learner's to see, until every verdict is what the answers say."""
        await asyncio.gather(*(self._settle(service) for service in list(self._balancers)))

    async def _settle(self, service: str) -> None:
        fresh = not any(target.healthy for target in self._targets.get(service, {}).values())
        balancer = self._balancers[service]
        if not balancer.check.prompt and not fresh:
            return
        await self._round(service)
        while balancer.check.prompt and any(target.row for target in self._targets.get(service, {}).values()):
            await self._round(service)

    async def _round(self, service: str) -> None:
        """One question to each node."""
        async with self._locks[service]:
            balancer = self._balancers[service]
            asked = [self._answer(balancer, addresses[0]) for addresses in balancer.nodes.values()]
            good = dict(zip(balancer.nodes, await asyncio.gather(*asked), strict=True))
            if (targets := self._targets.get(service)) is None:
                return  # it has gone meanwhile
            before = dict(targets)
            for name in targets.keys() & good.keys():
                targets[name] = targets[name].heard(good[name], balancer.check)
        if any(before[name].healthy != targets[name].healthy for name in before):
            self._changed()

    def _answer(self, balancer: Balancer, address: str) -> Awaitable[bool]:
        if not balancer.check_port:
            return _taken_for_healthy()
        return answers(self._path, address, balancer.check_port, balancer.check)

    def _await(self, service: str) -> None:
        """Ask again after the interval, and so on."""
        if service in self._timers:
            self._timers[service].cancel()
        seconds = self._balancers[service].check.interval
        due = partial(self._due, service)
        self._timers[service] = asyncio.get_running_loop().call_later(seconds, due)

    def _due(self, service: str) -> None:
        round_ = asyncio.get_running_loop().create_task(self._round(service))
        self._rounds.add(round_)
        round_.add_done_callback(self._rounds.discard)
        self._await(service)


async def _taken_for_healthy() -> bool:
    return True
