"""A steady load of requests from a pod of a lab, for as long as a test does something else."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import pandas as pd

from labkit.lab import Lab

BATCH = 20  # requests in a call, four at a time
PAUSE = 0.02  # seconds between two calls, in which the others that share the processors get on


class Load:
    """`with Load(lab, "client", url) as load:` requests until the end of the block; `load.rows` has them all.

    rate: requests a second; without it there is a pause after each call.
    """

    def __init__(self, lab: Lab, pod: str, url: str, rate: float = 0) -> None:
        self._period = BATCH / rate if rate else 0.0
        self._pod = lab.pod(pod)
        self._url = url
        self._batches: list[pd.DataFrame] = []
        self._first, self._over = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    @property
    def rows(self) -> pd.DataFrame:
        return pd.concat(self._batches, ignore_index=True)

    def __enter__(self) -> Load:
        self._thread.start()
        assert self._first.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._failure and not value:
            raise self._failure

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._over.wait(max(0.0, due - time.monotonic()) if self._period else PAUSE):
                due += self._period
                self._batches.append(self._pod.get(self._url, n=BATCH, concurrency=4, timeout=5))
                self._first.set()
        except BaseException as failure:
            self._failure = failure
            self._first.set()
