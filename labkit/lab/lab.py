"""The lab that a notebook holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.api import kinds, manifest
from labkit.errors import ApiError, NotFound
from labkit.lab import kubectl, rules, tables
from labkit.lab.door import Door
from labkit.lab.handle import Handle, Node, Output
from labkit.net.path import PacketPath
from labkit.net.rules import parse
from labkit.sandbox.start import Sandbox

if TYPE_CHECKING:
    import pandas as pd


class Lab:
    """A running cluster. `start` makes one, `close` ends it; as a context manager it closes itself.

    Names of things follow kubectl: "deployment/web", "svc/web", with "-n" as the `namespace` argument. Pods are named
    "client", "shop/client", or by the beginning of their name where only one pod has it. `sandbox` says in one line
    what the lab lives in, and why.
    """

    def __init__(self, sandbox: Sandbox, facts: dict[str, Any], why: str, door: Door) -> None:
        self._sandbox = sandbox
        self._facts = facts
        self.sandbox = why
        self._door = door

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        zones: dict[str, list[str]] = {}
        for name, zone in self._facts["nodes"].items():
            zones.setdefault(zone, []).append(name)
        places = "; ".join(f"zone {zone}: {', '.join(names)}" for zone, names in zones.items())
        state = "" if self.running else " (closed)"
        return f"Lab with {len(self._facts['nodes'])} nodes ({places}){state}\nsandbox: {self.sandbox}"

    @property
    def running(self) -> bool:
        return self._sandbox.running

    @property
    def facts(self) -> dict[str, Any]:
        """What the lab runs on: sandbox, iptables variant, CNI plugin, nodes with their zones, process number."""
        return {**self._facts, "sandbox": self._sandbox.kind, "pid": self._sandbox.process.pid}

    def close(self) -> None:
        """End the lab. Nothing of it is left: no process, no interface, no rule, no file."""
        self._sandbox.close()

    def join(self) -> None:
        """Wait for the end of the lab. Raises `SandboxError` with its cause."""
        self._sandbox.join()

    # The API, for other clients

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig of the lab's administrator, for any client on this machine; it goes with the lab."""
        return self._door.kubeconfig(self._sandbox)

    def kubectl(self, command: str | Sequence[str], *, stdin: str = "", timeout: float = 60.0) -> Output:
        """Run the machine's own kubectl against this lab: `kubectl("get pods -o wide")`.

        A string is split as a shell splits it. Raises `CommandError` where there is no kubectl, or it does not end.
        """
        return kubectl.run(command, self.kubeconfig, stdin, timeout)

    # Objects

    def apply(
        self, source: str | Path | dict[str, Any] | list[dict[str, Any]], namespace: str = "default"
    ) -> pd.DataFrame:
        """Apply Kubernetes YAML: a path, the text itself, a dict, a list of dicts, or the URL of a file.

        All of it or nothing: a problem anywhere raises `ManifestError`, which names file, document, field and remedy.
        """
        import pandas as pd

        documents = manifest.load(source)
        for document in documents:
            # A custom kind's scope is known to the lab, which puts what needs a namespace into `default`.
            custom = kinds.is_foreign(document.object)
            if namespace != "default" if custom else kinds.resource(document.object["kind"]).namespaced:
                document.object["metadata"].setdefault("namespace", namespace)
        try:
            found = self._sandbox.call("apply", objects=[document.object for document in documents])
        except ApiError as error:
            raise manifest.refused(documents, error) from None
        rows = [
            {"OBJECT": f"{r['kind'].lower()}/{r['name']}", "NAMESPACE": r["namespace"], "RESULT": r["result"]}
            for r in found
        ]
        return pd.DataFrame(rows, columns=["OBJECT", "NAMESPACE", "RESULT"])

    def get(self, what: str, namespace: str = "default") -> dict[str, Any]:
        """One object whole, as the API has it: `get("svc/web")`."""
        kind, name = _kind_and_name(what)
        value: dict[str, Any] = self._sandbox.call("get", kind=kind, namespace=namespace, name=name)
        return value

    def objects(self, kind: str, namespace: str | None = "default") -> list[dict[str, Any]]:
        """All objects of a kind, whole; `namespace=None` means all namespaces."""
        value: list[dict[str, Any]] = self._sandbox.call("list", kind=kinds.resource(kind).kind, namespace=namespace)
        return value

    def table(self, kind: str, namespace: str | None = "default", labels: Sequence[str] = ()) -> pd.DataFrame:
        """All objects of a kind as `kubectl get -o wide` lists them, without ages; `labels` as its `-L`."""
        import pandas as pd

        resource = kinds.resource(kind)
        within = namespace if resource.namespaced else None
        listed = self.objects(kind, within)
        return pd.DataFrame(tables.rows(resource, listed, resource.namespaced and namespace is None, labels))

    def services(self, namespace: str | None = "default") -> pd.DataFrame:
        return self.table("Service", namespace)

    def pods(self, namespace: str | None = "default") -> pd.DataFrame:
        return self.table("Pod", namespace)

    def deployments(self, namespace: str | None = "default") -> pd.DataFrame:
        return self.table("Deployment", namespace)

    def endpointslices(self, namespace: str | None = "default") -> pd.DataFrame:
        return self.table("EndpointSlice", namespace)

    def nodes(self) -> pd.DataFrame:
        return self.table("Node", labels=["topology.kubernetes.io/zone"])

    def delete(self, what: str, namespace: str = "default", timeout: float = 30.0) -> None:
        """Delete an object and wait until it is gone: `delete("deployment/web")`."""
        kind, name = _kind_and_name(what)
        self._sandbox.call("delete", kind=kind, namespace=namespace, name=name, timeout=timeout)

    def scale(self, what: str, replicas: int, namespace: str = "default") -> None:
        """Set the number of a Deployment's (or ReplicaSet's) pods, and wait for them."""
        kind, name = _kind_and_name(what)
        self._sandbox.call("scale", kind=kind, namespace=namespace, name=name, replicas=replicas)
        self.wait(what, namespace)

    def wait(self, what: str = "", namespace: str = "default", timeout: float = 30.0) -> None:
        """Wait until "deployment/web", "pod/client", "svc/web" is ready and every node's rules know of it.

        Without a name: until everything in the cluster is. Raises `WaitTimeout`, which says what is not ready, and why.
        """
        kind, name = _kind_and_name(what) if what else ("", "")
        self._sandbox.call("wait", kind=kind, namespace=namespace, name=name, timeout=timeout)

    # Places

    def pod(self, name: str, namespace: str = "default") -> Handle:
        """A pod to make requests from or run commands in. `NotFound` lists the pods where no name fits, or several."""
        return self._handle("pod", name if "/" in name else f"{namespace}/{name}")

    def node(self, name: str) -> Node:
        """A node; its commands see the node's interfaces, routes and rules. It can `fail` and `recover`."""
        return Node(self._sandbox.call, self._sandbox.call("find_place", kind="node", name=name))

    def host(self, name: str = "internet") -> Handle:
        """A machine outside the cluster: "internet" (the client out there) or "router"."""
        return self._handle("host", name)

    def _handle(self, kind: str, name: str) -> Handle:
        return Handle(self._sandbox.call, self._sandbox.call("find_place", kind=kind, name=name))

    def rules(self, node: str, service: str, namespace: str = "default") -> pd.DataFrame:
        """The rules that serve a Service on a node, read back from its kernel: TABLE, CHAIN, NUMBER, RULE."""
        import pandas as pd

        saved = parse(self.node(node).run("iptables-save", check=True).stdout)
        key = service if "/" in service else f"{namespace}/{service}"
        found = [row for table in ("nat", "filter") for row in rules.serving(saved, key, table)]
        return pd.DataFrame(found, columns=["TABLE", "CHAIN", "NUMBER", "RULE"])

    def logs(self, pod: str, namespace: str = "default", container: str = "") -> str:
        """What a container wrote."""
        text: str = self._sandbox.call("logs", pod=self.pod(pod, namespace).name, container=container)
        return text

    def events(self) -> pd.DataFrame:
        """What the kubelets report: failing probes, containers that end, in the order in which it happened."""
        import pandas as pd

        return pd.DataFrame(self._sandbox.call("events"), columns=["TYPE", "REASON", "OBJECT", "MESSAGE"])

    def cni_result(self, pod: str, namespace: str = "default") -> dict[str, Any] | None:
        """What the CNI plugin reported when it attached a pod: interfaces, addresses, routes, as CNI 1.1 writes them.

        None for a pod in its node's own network.
        """
        value: dict[str, Any] | None = self._sandbox.call("cni_result", pod=self.pod(pod, namespace).name)
        return value

    def topology(self) -> dict[str, Any]:
        """The network as plain facts: `places` (machines, switches, pods) and `links` between their interfaces."""
        value: dict[str, Any] = self._sandbox.call("topology")
        return value

    def trace(self, source: str, url: str, namespace: str = "default", timeout: float = 2.0) -> PacketPath:
        """Make one real request and report the way of its first packet, hop by hop.

        source: a pod, a node, "internet" or "router". Raises `TraceError` where nothing could be captured.
        """
        places = {p["name"] for p in self.topology()["places"] if p["kind"] != "pod"}
        name = source if source in places else self.pod(source, namespace).name
        return msgspec.convert(self._sandbox.call("trace", source=name, url=url, timeout=timeout), PacketPath)


def _kind_and_name(what: str) -> tuple[str, str]:
    kind, slash, name = what.partition("/")
    if not slash or not name:
        raise NotFound(f'{what!r} names no object: write kind/name, such as "deployment/web"')
    return kinds.resource(kind).kind, name
