"""Istio's Bookinfo in every mode of kube-proxy: who reaches it by which address, and who the pod thinks is asking.

    internet ── router ──┬── node "far": the pod far     node "near": productpage, the pod near     a third node
                         └── cloud (a load balancer in ipMode Proxy)

The promises: with policy Cluster the pod may see the node that the request came to; with Local it sees the client, and
nodes without an endpoint drop what comes from outside (https://kubernetes.io/docs/tutorials/services/source-ip/).

    assert differences(k, "nftables") == []      # in any lab of three nodes; a lab for this alone would cost its start
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from labs import BOOKINFO, errors, places

from labkit.lab import Lab
from labkit.lab.handle import Handle

INTERNET, CLOUD = "203.0.113.10", "192.0.2.10"
PROXIED = {"service.beta.kubernetes.io/lab-load-balancer-ip-mode": "Proxy"}
ASKING = ("near", "far", "on near", "on far", "internet")  # two pods, their nodes, the client outside

# Way -> what each of ASKING meets. me: the pod sees the client's own address; near, far: one of that node's; nodes: any
# node's; address: the one that was asked for; lost: no answer; else an error's words.
Table = Mapping[str, str]
EVERYWHERE: Table = {
    "cluster IP":              "me     me     near   far    lost",
    "internal Local":          "me     lost   near   lost   lost",
    "load balancer":           "near   far    near   far    nodes",
    "far's NodePort":          "far    far    far    far    far",
    "near's NodePort":         "near   near   near   near   near",
    "load balancer, Local":    "me     me     near   far    me",
    "far's NodePort, Local":   "lost   me     lost   far    lost",
    "near's NodePort, Local":  "me     far    near   far    me",
    "load balancer, proxied":  "nodes  nodes  nodes  nodes  nodes",
}  # fmt: skip
ELSEWISE: Mapping[str, Table] = {
    "iptables": {},
    "nftables": {},
    # A node's own request has the load balancer's address as its source, for that is bound to kube-ipvs0, and where it
    # is not masqueraded the answer from another node has no way back (kubernetes/kubernetes pull request 97081).
    "ipvs": {
        "internal Local":          "me     connection refused  near  connection refused  lost",
        "load balancer, Local":    "me     me     address  lost  me",
    },
    # A socket chooses the pod as it connects: nothing is translated on the way. From outside, only what goes on to
    # another node is masqueraded.
    "ebpf": {
        "internal Local":          "me     no route to host  near  no route to host  lost",
        "load balancer":           "me     me     near   far    nodes/me",
        "far's NodePort":          "far    me     far    far    far",
        "near's NodePort":         "me     far    near   far    me",
        "load balancer, proxied":  "nodes/cloud  nodes/cloud  nodes/cloud  nodes/cloud  nodes/cloud",
    },
    # A process of the node asks the pod, and knows no policies.
    "userspace": {
        "cluster IP":              "near   far    near   far    lost",
        "internal Local":          "near   far    near   far    lost",
        "load balancer, Local":    "near   far    near   far    near",
        "far's NodePort, Local":   "far    far    far    far    far",
        "near's NodePort, Local":  "near   near   near   near   near",
    },
    # A node without an endpoint has no policy for the address at all: it goes on to the router as any other.
    "kernelspace": {
        "load balancer, Local":    "me     far    near   far    me",
        "far's NodePort, Local":   "connection refused  " * 5,
    },
}  # fmt: skip


class Site(NamedTuple):
    """`who`: the places that ask; `own`: their addresses; `urls` by way; `nodes`: addresses of near, far, all nodes."""

    who: Mapping[str, Handle]
    own: Mapping[str, str]
    urls: Mapping[str, str]
    nodes: Mapping[str, set[str]]


def differences(k: Lab, mode: str) -> list[str]:
    """Bring Bookinfo into a lab; what is not as promised."""
    site = _site(k)
    found = list(_names(site))
    for way, everywhere in EVERYWHERE.items():
        cells = re.split(" {2,}", ELSEWISE[mode].get(way, everywhere).strip())
        with ThreadPoolExecutor(len(ASKING)) as together:
            met = list(together.map(lambda asking, cell, w=way: _met(site, asking, w, cell), ASKING, cells))
        for asking, cell, seen in zip(ASKING, cells, met, strict=True):
            if not seen or not seen <= _allowed(site, asking, way, cell):
                found.append(f"{way}, {asking}: {cell}, met {sorted(seen)}")
    return found


def _site(k: Lab) -> Site:
    k.apply(BOOKINFO)
    balanced = {"type": "LoadBalancer"}
    k.apply(
        [
            _service("inside", internalTrafficPolicy="Local"), _service("entry", **balanced),
            _service("entry-local", **balanced, externalTrafficPolicy="Local"),
            _service("entry-proxied", PROXIED, **balanced),
        ]
    )  # fmt: skip
    k.wait()
    (near,) = (p["node"] for p in places(k) if p["name"].startswith("default/productpage"))
    names = {p["name"]: p["addresses"][0] for p in places(k, "node")}
    far = next(name for name in names if name != near)
    k.apply([_client("near", near), _client("far", far)])
    k.wait()
    nodes = {name: {address, f"10.244.{name[-1]}.1"} for name, address in names.items()}
    return Site(
        dict(zip(ASKING, (k.pod("near"), k.pod("far"), k.node(near), k.node(far), k.host()), strict=True)),
        {name: k.get(f"pod/{name}")["status"]["podIP"] for name in ("near", "far")} | {"internet": INTERNET},
        _urls(k, names[near], names[far]),
        {"near": nodes[near], "far": nodes[far], "nodes": set().union(*nodes.values())},
    )


def _service(name: str, annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "productpage"}, "ports": [{"name": "http", "port": 9080}], **spec}
    metadata = {"name": name, "annotations": annotations or {}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _client(name: str, node: str) -> dict[str, Any]:
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "agnhost"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _urls(k: Lab, near: str, far: str) -> dict[str, str]:
    def cluster_ip(name: str) -> str:
        return f"{k.get(f'svc/{name}')['spec']['clusterIP']}:9080"

    def balancer(name: str) -> str:
        return f"{k.get(f'svc/{name}')['status']['loadBalancer']['ingress'][0]['ip']}:9080"

    cluster, local = (k.get(f"svc/{name}")["spec"]["ports"][0]["nodePort"] for name in ("entry", "entry-local"))
    return {
        "cluster IP": cluster_ip("productpage"),
        "internal Local": cluster_ip("inside"),
        "load balancer": balancer("entry"),
        "far's NodePort": f"{far}:{cluster}",
        "near's NodePort": f"{near}:{cluster}",
        "load balancer, Local": balancer("entry-local"),
        "far's NodePort, Local": f"{far}:{local}",
        "near's NodePort, Local": f"{near}:{local}",
        "load balancer, proxied": balancer("entry-proxied"),
    }


def _names(site: Site) -> Iterator[str]:
    """Bookinfo's own Services, by the names by which its pods call each other."""
    for name, pods in (("productpage", 1), ("details", 1), ("ratings", 1), ("reviews", 3)):
        hits = site.who["far"].get(f"http://{name}:9080/hostname", n=24)
        if errors(hits) or (hits["body"] != hits["pod"]).any() or hits["pod"].nunique() != pods:
            yield f"{name}: {errors(hits)}, {hits.groupby(['body', 'pod']).size().to_dict()}"


def _met(site: Site, asking: str, way: str, cell: str) -> set[str]:
    """The addresses that the pod says it sees; what went wrong; another pod that is said to have answered."""
    lost = cell == "lost"
    hits = site.who[asking].get(f"http://{site.urls[way]}/clientip", n=2 if lost else 8, timeout=0.3 if lost else 2)
    good = hits[hits["error"] == ""]
    sources = {body.rpartition(":")[0] for body in good["body"]}
    others = {pod or "nobody" for pod in good["pod"] if not pod.startswith("productpage-v1-")}
    return sources | others | ({"lost"} if lost and len(good) < len(hits) else set(errors(hits)))


def _allowed(site: Site, asking: str, way: str, cell: str) -> set[str]:
    """What a cell stands for."""
    words = {
        "me": {site.own[asking]} if asking in site.own else site.nodes[asking.removeprefix("on ")],
        "address": {site.urls[way].rpartition(":")[0]},
        "cloud": {CLOUD},
        **site.nodes,
    }
    return set().union(*(words.get(word, {word}) for word in cell.split("/")))
