"""The pod on each node whose container is the node's kube-proxy: that runs as long as the container.

    DaemonSet kube-proxy ── kubelet: the container runs ──> begins: NodeRules, or the program that the lab was given
                                     it ends, or the pod goes ──> ends; the rules stay as they are
    what it logs ──> the container's log

Source: the DaemonSet of kubeadm; pkg/kubelet for when a container that ended is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from labkit.cluster import proxy_settings
from labkit.cluster.node_rules import NodeRules
from labkit.cluster.proxy_programs import ProxyPrograms
from labkit.cluster.work import Work
from labkit.control.store import Raw, Store
from labkit.errors import LabError, NotFound, StateError, WaitTimeout
from labkit.proxy import addon, klog
from labkit.sandbox.channel import Handler

Run = tuple[str, int]
"""Of a container: its pod's uid, how often it had been restarted before."""
NOBODY: Run = ("", 0)
PATIENCE = 30.0
"""Seconds for a new pod to come."""


class ProxyPods:
    """Proxies by node. `tell`: a notice to the pods' process; `programs`: in the place of the lab's own proxies."""

    def __init__(
        self, store: Store, rules: NodeRules, work: Work, tell: Callable[..., None], programs: ProxyPrograms | None
    ) -> None:
        self._store = store
        self._rules = rules
        self._work = work
        self._tell = tell
        self._programs = programs
        self._runs: dict[str, Run] = {}  # whose container runs
        self._up: dict[str, Run] = {}  # whose proxy does
        self._turns = {node: asyncio.Lock() for node in rules.logs}
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def handlers(self) -> dict[str, Handler]:
        return {"proxy": self.state, "proxy_log": self.log, "restart_proxy": self.restart}

    def ran(self, node: str, uid: str, status: Raw) -> None:
        """A pod's container has a new status: where it has been started, so is the proxy."""
        run = uid, status["restartCount"]
        if "running" not in status["state"] or self._runs.get(node) == run:
            return
        self._runs[node] = run
        if self._programs is None:
            self._work.start(self._serve(node, run))
        else:  # nobody waits for it: it asks the API server, which a lab opens last
            task = asyncio.get_running_loop().create_task(self._run(node, run, self._programs))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def leaves(self, node: str, uid: str) -> None:
        """A pod ends, and the proxy with it, unless another pod has become the node's proxy meanwhile."""
        if self._runs.get(node, NOBODY)[0] != uid:
            return
        del self._runs[node]
        self._up.pop(node, None)
        async with self._turns[node]:
            await (self._programs.end(node) if self._programs else self._rules.end(node))

    def state(self, node: str) -> Mapping[str, Any]:
        """Raises `NotFound` for a node without a proxy."""
        return self._programs.state(node) if self._programs else self._rules.state(node)

    def log(self, node: str) -> str:
        """What the node's proxies have logged, as far as it is kept."""
        return self._rules.logs[node].text()

    async def restart(self, node: str) -> None:
        """Delete the node's pod; return when the one that comes in its place has its rules in force.

        Raises `ConfigError` for a ConfigMap that the new one would refuse: the old one then goes on. Raises `NotFound`
        where no proxy runs, `StateError` where the node is cut off, `WaitTimeout`.
        """
        proxy_settings.read(self._store)
        if self._rules.silent(node):
            raise StateError(f"{node} is cut off: nothing there can be restarted until it is back")
        uid = self._runs.get(node, NOBODY)[0]
        pod = next((raw for raw in self._store.indexed("node", node) if raw["metadata"]["uid"] == uid), None)
        if pod is None:
            raise NotFound(
                f"no pod of kube-proxy runs on {node!r}: `kubectl -n {addon.NAMESPACE} get ds,pods` says why"
            )
        self._store.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        try:
            async with asyncio.timeout(PATIENCE):
                while self._up.get(node, (uid, 0))[0] == uid:
                    self._news.clear()
                    await self._news.wait()
                await self._rules.synced()
        except TimeoutError:
            raise WaitTimeout(f"no new pod of kube-proxy runs on {node} after {PATIENCE:g} s") from None

    async def _serve(self, node: str, run: Run) -> None:
        """Begin as a proxy of the lab's own."""
        await self._rules.following.wait()
        async with self._turns[node]:
            if self._runs.get(node) != run:
                return
            await self._rules.end(node)  # of a pod that this one takes over from, or of the container's earlier run
            self._listen(node, run)
            try:
                await self._rules.begin(node, *proxy_settings.read(self._store))
            except LabError as error:
                await self._rules.end(node)
                self._fails(node, run, error)
            else:
                self._is_up(node, run)

    async def _run(self, node: str, run: Run, programs: ProxyPrograms) -> None:
        """Run the program until it ends."""
        async with self._turns[node]:
            if self._runs.get(node) != run:
                return
            await programs.end(node)
            self._listen(node, run)
            try:
                process = await programs.begin(node, self._rules.logs[node].take)
            except LabError as error:
                self._fails(node, run, error)
                return
            self._is_up(node, run)
        self._tell("ended", uid=run[0], code=await process.wait())

    def _listen(self, node: str, run: Run) -> None:
        """What the node's proxy logs from now on is the container's log."""
        self._rules.logs[node].heard = lambda text: self._tell("output", uid=run[0], text=text)

    def _is_up(self, node: str, run: Run) -> None:
        self._up[node] = run
        self._news.set()

    def _fails(self, node: str, run: Run, error: LabError) -> None:
        self._rules.logs[node].say(klog.ERROR, "run.go:72", "command failed", {"err": error.message})
        self._tell("ended", uid=run[0], code=1)
