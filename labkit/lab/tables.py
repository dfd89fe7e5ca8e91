"""API objects as tables, in the columns and words of `kubectl get -o wide`, without ages: those never compare equal.

Pure: lists of stored objects in, rows out. Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Raw = dict[str, Any]
Row = dict[str, object]
NONE = "<none>"


def _service(o: Raw) -> Row:
    spec = o["spec"]
    kind = spec.get("type", "ClusterIP")
    ports = [_port(p) for p in spec.get("ports", ())]
    external = list(spec.get("externalIPs", ()))
    if kind == "LoadBalancer":
        ingress = o.get("status", {}).get("loadBalancer", {}).get("ingress", ())
        external = [i.get("ip") or i.get("hostname", "") for i in ingress] + external or ["<pending>"]
    if kind == "ExternalName":
        external = [spec["externalName"]]
    selector = spec.get("selector", {})
    return {
        "TYPE": kind,
        "CLUSTER-IP": spec.get("clusterIP", NONE),
        "EXTERNAL-IP": ",".join(external) or NONE,
        "PORT(S)": ",".join(ports) or NONE,
        "SELECTOR": ",".join(f"{k}={v}" for k, v in selector.items()) or NONE,
    }


def _port(port: Raw) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def _pod(o: Raw) -> Row:
    status = o.get("status", {})
    containers = status.get("containerStatuses", ())
    ready = sum(bool(c.get("ready")) for c in containers)
    return {
        "READY": f"{ready}/{len(o['spec']['containers'])}",
        "STATUS": _pod_status(o, containers),
        "RESTARTS": sum(c.get("restartCount", 0) for c in containers),
        "IP": status.get("podIP", NONE),
        "NODE": o["spec"].get("nodeName", NONE),
    }


def _pod_status(o: Raw, containers: Any) -> str:
    if o["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for c in containers:
        state = c.get("state", {})
        for kind in ("waiting", "terminated"):
            if reason := state.get(kind, {}).get("reason"):
                return str(reason)
    return str(o.get("status", {}).get("phase", "Pending"))


def _deployment(o: Raw) -> Row:
    status = o.get("status", {})
    return {
        "READY": f"{status.get('readyReplicas', 0)}/{o['spec'].get('replicas', 1)}",
        "UP-TO-DATE": status.get("updatedReplicas", 0),
        "AVAILABLE": status.get("availableReplicas", 0),
    }


def _replica_set(o: Raw) -> Row:
    status = o.get("status", {})
    return {
        "DESIRED": o["spec"].get("replicas", 1),
        "CURRENT": status.get("replicas", 0),
        "READY": status.get("readyReplicas", 0),
    }


def _endpoint_slice(o: Raw) -> Row:
    addresses = sorted(a for e in o.get("endpoints") or () for a in e["addresses"])
    return {
        "ADDRESSTYPE": o["addressType"],
        "PORTS": ",".join(str(p.get("port", "*")) for p in o.get("ports") or ()) or "<unset>",
        "ENDPOINTS": ",".join(addresses) or "<unset>",
    }


def _endpoints(o: Raw) -> Row:
    pairs = [
        f"{a['ip']}:{p['port']}"
        for s in o.get("subsets") or ()
        for p in s.get("ports") or ()
        for a in s.get("addresses") or ()
    ]
    return {"ENDPOINTS": ",".join(pairs) or NONE}


def _node(o: Raw) -> Row:
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in o["status"]["conditions"])
    return {
        "STATUS": "Ready" if ready else "NotReady",
        "INTERNAL-IP": next(a["address"] for a in o["status"]["addresses"] if a["type"] == "InternalIP"),
        "ZONE": o["metadata"]["labels"].get("topology.kubernetes.io/zone", NONE),
        "POD-CIDR": o["spec"]["podCIDR"],
    }


def _plain(_: Raw) -> Row:
    return {}


ROWS: Mapping[str, Callable[[Raw], Row]] = {
    "Deployment": _deployment,
    "EndpointSlice": _endpoint_slice,
    "Endpoints": _endpoints,
    "Node": _node,
    "Pod": _pod,
    "ReplicaSet": _replica_set,
    "Service": _service,
}


def rows(kind: str, objects: list[Raw], with_namespace: bool) -> list[Row]:
    """One row for each object, NAMESPACE first where objects of several are listed."""
    make = ROWS.get(kind, _plain)
    found = []
    for o in objects:
        place = {"NAMESPACE": o["metadata"].get("namespace", "")} if with_namespace else {}
        found.append({**place, "NAME": o["metadata"]["name"], **make(o)})
    return found
