"""The reconcile loop: changes mark keys as dirty, controllers make the keys right, until nothing is dirty.

    Event --Controller.keys--> dirty keys --drain--> Controller.reconcile --> writes --> Event ...

Level-triggered: a key says *what* to look at, never what happened to it; `reconcile` compares what is with what should
be. So the end does not depend on the order of events, on how many are taken together, or on one being seen twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from labkit.control.store import Store
from labkit.control.watch import Event
from labkit.errors import LabError

ROUNDS = 10_000
"""Batches after which the loop gives up: controllers that undo each other's work never come to rest."""
FIRST_RETRY, LONGEST_RETRY = 0.005, 16.0
"""Seconds before a failed key is tried again: doubling from client-go's 5 ms, up to a learner's patience."""


class Controller(Protocol):
    """What the loop runs. `kinds` None means all.

    `keys` names what an event may have changed for this controller. `reconcile` makes one key right, and may return
    after how many seconds it must be looked at again though nothing changes; what it raises is reported and retried.
    """

    @property
    def name(self) -> str: ...
    @property
    def kinds(self) -> frozenset[str] | None: ...
    def keys(self, event: Event) -> Iterable[str]: ...
    def reconcile(self, key: str) -> float | None: ...


@dataclass(frozen=True)
class Failure:
    """A reconcile that raised: `attempts` in a row, the next one after `retry` seconds. An empty key: `keys` raised."""

    controller: str
    key: str
    error: Exception
    attempts: int
    retry: float

    def __str__(self) -> str:
        return f"{self.controller} {self.key}: {self.error} (attempt {self.attempts}, next in {self.retry:g} s)"


class _Queue:
    """One controller's keys: dirty ones, ones that become dirty at a time, and failures in a row."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.dirty: set[str] = set()
        self.due: dict[str, float] = {}
        self.failures: dict[str, int] = {}


class Loop:
    """Runs controllers over a store. `changed` is called when there is something to drain that nobody drains yet."""

    def __init__(
        self,
        store: Store,
        controllers: Sequence[Controller],
        failed: Callable[[Failure], None],
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queues: list[_Queue] = []
        self._failed = failed
        self._changed = changed
        self._clock = clock
        self._draining = False
        for controller in controllers:
            queue = _Queue(controller)
            self._queues.append(queue)
            store.watch(controller.kinds, partial(self._mark, queue))

    def drain(self) -> None:
        """Reconcile until nothing is dirty.

        The first controller that has dirty keys takes them all, sorted; then the search starts anew. So controllers
        are to be listed in the order in which work flows (Deployments before ReplicaSets before EndpointSlices): one
        further down waits until those above it have settled, and the order of events plays no part.
        Raises `LabError` when it does not settle; what is dirty stays so.
        """
        self._draining = True
        try:
            for _ in range(ROUNDS):
                self._ripen()
                queue = next((queue for queue in self._queues if queue.dirty), None)
                if queue is None:
                    return
                for key in sorted(queue.dirty):
                    queue.dirty.discard(key)
                    self._reconcile(queue, key)
            restless = ", ".join(f"{q.controller.name} {key}" for q in self._queues for key in sorted(q.dirty)[:3])
            raise LabError(
                f"the controllers did not come to rest in {ROUNDS} rounds; still at work: {restless}. Two of them may "
                "undo each other's changes: look at two writers of the same object."
            )
        finally:
            self._draining = False

    def next_due(self) -> float | None:
        """Seconds until a postponed key has its turn (0 when it has); None when none is postponed."""
        times = [when for queue in self._queues if queue.due for when in queue.due.values()]
        return max(0.0, min(times) - self._clock()) if times else None

    def _mark(self, queue: _Queue, event: Event) -> None:
        try:
            if keys := queue.controller.keys(event):
                queue.dirty.update(keys)
        except Exception as error:
            self._failed(Failure(queue.controller.name, "", error, 1, 0.0))
        if queue.dirty and not self._draining:
            self._changed()

    def _ripen(self) -> None:
        for queue in self._queues:
            if queue.due:
                now = self._clock()
                ripe = [key for key, when in queue.due.items() if when <= now]
                queue.dirty.update(ripe)

    def _reconcile(self, queue: _Queue, key: str) -> None:
        queue.due.pop(key, None)
        try:
            again = queue.controller.reconcile(key)
        except Exception as error:
            attempts = queue.failures[key] = queue.failures.get(key, 0) + 1
            again = min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY)
            self._failed(Failure(queue.controller.name, key, error, attempts, again))
        else:
            queue.failures.pop(key, None)
        if again is not None:
            queue.due[key] = self._clock() + again
