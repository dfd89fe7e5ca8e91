"""A node's kube-proxy in a learner's hand: how it is, what it logs, a restart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Proxy:
    """kube-proxy of one node; it shows its state as it is when it is shown."""

    def __init__(self, call: Callable[..., Any], node: str) -> None:
        self._call = call
        self._node = node

    @property
    def state(self) -> dict[str, Any]:
        """`mode`, `healthy`, and for each family of addresses `services` (ports), `syncs`, `refused`, `last_sync`.

        syncs    how many were `full`, how many `partial`
        refused  the Service ports that the node would not take, with its reason; all others are in force
        Of a program that was given to the lab there are `program`, `healthy` (it runs), `pid`, `restarts` instead.
        """
        state: dict[str, Any] = self._call("proxy", node=self._node)
        return state

    @property
    def log(self) -> str:
        """What it has logged, as a real one logs; the latest thousand lines."""
        text: str = self._call("proxy_log", node=self._node)
        return text

    def show(self, command: str = "") -> str:
        """What it has made of the Services, as the tool of its mode prints it: `iptables-save`, `nft list`, `ipvsadm` …

        command   in kernelspace mode, what a Windows node would be asked: "Get-HnsPolicyList", "Get-HnsEndpoint",
                  "hnsdiag list loadbalancers -d", "vfpctrl /list-rule"; in userspace mode "counters"

        Raises `NotFound` for another one.
        """
        text: str = self._call("show_proxy", node=self._node, command=command)
        return text

    def restart(self) -> None:
        """Delete its pod; in the one that comes in its place it reads its ConfigMap, kube-system/kube-proxy.

        On all nodes: `kubectl -n kube-system rollout restart daemonset/kube-proxy`. Raises `ConfigError` where the
        ConfigMap holds what kube-proxy would refuse: the old one then goes on. Raises `NotFound` where the node has no
        such pod, `StateError` where it is cut off.
        """
        self._call("restart_proxy", node=self._node)

    def __repr__(self) -> str:
        state = self.state
        if "program" in state:
            how = f"running as {state['pid']}" if state["healthy"] else "not running"
            return f"kube-proxy of {self._node}: {state['program']}, {how}, started again {state['restarts']} times"
        lines = [f"kube-proxy of {self._node}: {state['mode']}, {'healthy' if state['healthy'] else 'late'}"]
        for family, found in state["families"].items():
            last = found["last_sync"]
            when = f"{datetime.fromtimestamp(last, UTC):%H:%M:%S} UTC" if last else "never"
            syncs = ", ".join(f"{n} {which}" for which, n in found["syncs"].items())
            lines.append(f"{family}: {found['services']} Service ports; syncs: {syncs}, the last {when}")
            lines += [f"  refused {port}: {why}" for port, why in found["refused"].items()]
        return "\n".join(lines)
