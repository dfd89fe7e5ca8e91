"""The lab that a notebook holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from labkit.api import manifest
from labkit.errors import ApiError, NotFound
from labkit.lab import ipvs_rules, kubectl, nft_rules, rules
from labkit.lab.door import Door
from labkit.lab.handle import Handle, Node, Output
from labkit.lab.objects import FORM, Objects
from labkit.lab.watch import Watch
from labkit.net import ipset, ipvs
from labkit.net.path import PacketPath
from labkit.net.rules import parse
from labkit.sandbox.start import Sandbox

if TYPE_CHECKING:
    import pandas as pd

WATCHES = 8  # that follow the lab at a time: a cell that is run again and again leaves no more of them


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
        self._objects = Objects(sandbox.call)
        self._watches: list[Watch] = []

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
        self,
        source: str | Path | dict[str, Any] | list[dict[str, Any]],
        namespace: str = "default",
        *,
        server_side: bool = False,
        force_conflicts: bool = False,
    ) -> pd.DataFrame:
        """Apply Kubernetes YAML: a path, the text itself, a dict, a list of dicts, or the URL of a file.

        RESULT says for each object what `kubectl apply` says: created, configured, unchanged; or serverside-applied,
        with `server_side`, which then takes over fields that others manage where `force_conflicts` is set.
        All of it or nothing: a problem anywhere raises `ManifestError`, which names file, document, field and remedy.
        """
        from labkit.lab.frames import Frame

        documents = manifest.load(source)
        objects = [document.object for document in documents]
        way: dict[str, Any] = {"namespace": namespace, "server_side": server_side, "force": force_conflicts}
        try:
            found = self._sandbox.call("apply", objects=objects, **way)
        except ApiError as error:
            raise manifest.refused(documents, error) from None
        rows = [(f"{r['kind'].lower()}/{r['name']}", r["namespace"], r["result"]) for r in found]
        return Frame(rows, columns=["OBJECT", "NAMESPACE", "RESULT"])

    def get(self, what: str, namespace: str | None = "default") -> Any:
        """`get("svc/web")`: one object whole, as the API has it, a dict. `get("svc")`: the `table` of a kind.

        Kinds are called as in kubectl, custom ones too: "svc", "services", "Service", "gateways.networking.istio.io".
        Raises `ApiError` for an object that is not there, and says what is; `NotFound` for what is no kind.
        """
        if "/" in what:
            return self._objects.ask("get", what, namespace or "default")
        try:
            return self.table(what, namespace)
        except NotFound as error:
            raise NotFound(f"{error.message} For one object, {FORM}", **error.details) from None

    def objects(self, kind: str, namespace: str | None = "default") -> list[dict[str, Any]]:
        """All objects of a kind, whole; `namespace=None` means all namespaces."""
        layout, within = self._objects.layout(kind, namespace, ())
        return self._objects.listed(layout.resource, within)

    def table(self, kind: str, namespace: str | None = "default", labels: Sequence[str] = ()) -> pd.DataFrame:
        """All objects of a kind as `kubectl get -o wide` lists them, without ages; `labels` as its `-L`."""
        from labkit.lab.frames import Frame

        layout, within = self._objects.layout(kind, namespace, labels)
        rows = [layout.row(raw) for raw in self._objects.listed(layout.resource, within)]
        return Frame(rows, columns=layout.header)

    def watch(self, kind: str, namespace: str | None = "default", labels: Sequence[str] = ()) -> Watch:
        """The `table` of a kind that stays true: rows appear, change and go, a few times a second, until the lab ends.

        In a notebook it is shown as a widget, elsewhere it is text. Its `close` ends it sooner; of many, a lab keeps
        the latest eight alive.
        """
        layout, within = self._objects.layout(kind, namespace, labels)
        watch = Watch(self._sandbox, layout, within)
        self._watches = [earlier for earlier in self._watches if earlier.live] + [watch]
        for earlier in self._watches[:-WATCHES]:
            earlier.close()
        return watch

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
        self._objects.ask("delete", what, namespace, timeout=timeout)

    def scale(self, what: str, replicas: int, namespace: str = "default") -> None:
        """Set the number of a Deployment's (or ReplicaSet's) pods, and wait for them."""
        self._objects.ask("scale", what, namespace, replicas=replicas)
        self.wait(what, namespace)

    def wait(self, what: str = "", namespace: str = "default", timeout: float = 30.0) -> None:
        """Wait until "deployment/web", "pod/client", "svc/web" is ready and every node's rules know of it.

        Without a name: until everything in the cluster is. Raises `WaitTimeout`, which says what is not ready, and why.
        """
        if what:
            self._objects.ask("wait", what, namespace, timeout=timeout)
        else:
            self._sandbox.call("wait", kind="", namespace=namespace, name="", timeout=timeout)

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
        from labkit.lab.frames import Frame

        key = service if "/" in service else f"{namespace}/{service}"
        columns = ["TABLE", "CHAIN", "NUMBER", "RULE"]
        mode = self.node(node).proxy.state.get("mode", self._facts["proxy_mode"])  # of another program: as it was asked
        if mode == "nftables":
            listing = self.node(node).run("nft list table ip kube-proxy", check=True).stdout
            return Frame(nft_rules.serving(listing, key), columns=columns)
        if mode == "ipvs":
            servers = ipvs.parse(self.node(node).run("ipvsadm-save -n", check=True).stdout)
            sets = ipset.parse(self.node(node).run("ipset save", check=True).stdout)
            space, _, name = key.partition("/")
            those = (s for s in self.objects("Service", space) if s["metadata"]["name"] == name)
            return Frame([row for s in those for row in ipvs_rules.serving(s, servers, sets)], columns=columns)
        saved = parse(self.node(node).run("iptables-save", check=True).stdout)
        found = [row for table in ("nat", "filter") for row in rules.serving(saved, key, table)]
        return Frame(found, columns=columns)

    def logs(self, pod: str, namespace: str = "default", container: str = "") -> str:
        """What a container wrote."""
        text: str = self._sandbox.call("logs", pod=self.pod(pod, namespace).name, container=container)
        return text

    def events(self) -> pd.DataFrame:
        """What the kubelets report: failing probes, containers that end, in the order in which it happened."""
        from labkit.lab.frames import Frame

        return Frame(self._sandbox.call("events"), columns=["TYPE", "REASON", "OBJECT", "MESSAGE"])

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
