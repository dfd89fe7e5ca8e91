"""Exercises on Services. An answer that is a manifest may be YAML text or the object as a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from labkit.learn.exercise import Exercise


def _service(answer: object) -> Mapping[str, Any] | str:
    """The one Service in the answer, or a sentence that says why there is none."""
    manifest = yaml.safe_load(answer) if isinstance(answer, str) else answer
    if not isinstance(manifest, Mapping):
        return "This is not a manifest: give YAML text or a dict with apiVersion, kind, metadata and spec."
    if manifest.get("kind") != "Service" or manifest.get("apiVersion") != "v1":
        return f"This is {manifest.get('apiVersion')} {manifest.get('kind')}, and a v1 Service is asked for."
    return manifest


def _port_mapping(answer: object) -> bool | str:
    service = _service(answer)
    if isinstance(service, str):
        return service
    spec = service.get("spec") or {}
    if spec.get("selector") != {"app": "web"}:
        return f"The selector is {spec.get('selector')}, so it does not pick the pods labelled app=web and only those."
    ports = spec.get("ports") or [{}]
    if ports[0].get("port") != 80:
        return f"Clients would have to use port {ports[0].get('port')} instead of 80."
    if ports[0].get("targetPort") != 8080:
        return f"Packets would go to port {ports[0].get('targetPort', 80)} of the pods, where nothing listens."
    return True


def _affinity(answer: object) -> bool | str:
    service = _service(answer)
    if isinstance(service, str):
        return service
    spec = service.get("spec") or {}
    if spec.get("sessionAffinity") != "ClientIP":
        return f"sessionAffinity is {spec.get('sessionAffinity', 'None')}, so each connection may go to another pod."
    seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds", 10800)
    return True if seconds == 60 else f"A client would be remembered for {seconds} seconds instead of 60."


def _for_the_world(answer: object) -> bool | str:
    service = _service(answer)
    if isinstance(service, str):
        return service
    spec = service.get("spec") or {}
    ports = (spec.get("ports") or [{}])[0]
    if spec.get("type") != "NodePort":
        return f"Its type is {spec.get('type', 'ClusterIP')}, which opens no port on the nodes by itself."
    if ports.get("nodePort") != 30080:
        return f"The nodes would open port {ports.get('nodePort', 'that is drawn for them')} instead of 30080."
    if spec.get("selector") != {"app": "web"} or ports.get("targetPort") not in ("http", 8080):
        return "Nothing would answer: the pods are labelled app=web and listen on 8080, which they call http."
    if spec.get("externalTrafficPolicy") != "Local":
        return "The pods would see a node as the client."
    return True


def _alias(answer: object) -> bool | str:
    service = _service(answer)
    if isinstance(service, str):
        return service
    meta, spec = service.get("metadata") or {}, service.get("spec") or {}
    if (meta.get("name"), meta.get("namespace")) != ("shop", "office"):
        return f"It would be called {meta.get('name')} in namespace {meta.get('namespace', 'default')}."
    if spec.get("type") != "ExternalName":
        return f"Its type is {spec.get('type', 'ClusterIP')}: it would need pods or endpoints of its own."
    name = str(spec.get("externalName", "")).rstrip(".")
    if name != "web.shop.svc.cluster.local":
        return f"{name or 'Nothing'} would be asked for as it stands there, and no Service is called so."
    return True


def _member(answer: Any) -> bool | str:
    """`answer` are the requests that the learner's URL gave."""
    if errors := sorted({error for error in answer.error if error}):
        return f"The request failed: {errors[0]}."
    others = sorted(set(answer.pod) - {"db-2"})
    return f"It was answered, but by {others[0] or 'something that is no pod'} too." if others else True


def _for_partners(answer: object) -> bool | str:
    service = _service(answer)
    if isinstance(service, str):
        return service
    spec = service.get("spec") or {}
    if spec.get("type") != "LoadBalancer":
        return f"Its type is {spec.get('type', 'ClusterIP')}, and no cloud gives that an address."
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges != ["203.0.113.0/24"]:
        return f"Clients of {', '.join(map(str, ranges)) or 'everywhere'} would get through."
    if spec.get("externalTrafficPolicy") != "Local":
        return "The pods would see a node as the client."
    return True


SITUATIONS = {
    "the shop's customers, on the internet": "LoadBalancer",
    "the shop's own services among themselves": "ClusterIP",
    "a database whose members are not alike": "headless",
    "a mail provider that the shop calls by a name of its own": "ExternalName",
    "a quick look from the office at a test cluster without a cloud": "NodePort",
}


def _which_type(answer: Any) -> bool | str:
    """`answer` has a type for each of the situations."""
    for situation, wanted in SITUATIONS.items():
        given = str(answer.get(situation, "nothing"))
        if given.casefold() != wanted.casefold():
            return f"For {situation}, {given} is not the one to take."
    return True


EXERCISES = (
    Exercise(
        "services/port-mapping",
        "Write a Service `web` that offers the pods labelled app=web, which listen on 8080, on port 80.",
        (
            "A Service finds its pods by spec.selector.",
            "In an entry of spec.ports, `port` is what clients use.",
            "`targetPort` is where the pods listen; without it the Service takes `port`.",
        ),
        _port_mapping,
    ),
    Exercise(
        "services/session-affinity",
        "Write a Service that sends each client to the same pod for a minute.",
        (
            "spec.sessionAffinity decides whether a client comes back to the same pod.",
            "How long is said in spec.sessionAffinityConfig.clientIP, in seconds.",
        ),
        _affinity,
    ),
    Exercise(
        "services/nodeport-for-the-world",
        "Write a Service `web` that answers at port 30080 of the nodes and lets the pods see who asked.",
        (
            "The type of a Service that opens a port on every node is NodePort.",
            "In an entry of spec.ports, `nodePort` is the port that the nodes open.",
            "The client's address is kept where traffic from outside stays on the node: spec.externalTrafficPolicy.",
        ),
        _for_the_world,
    ),
    Exercise(
        "services/alias-across-namespaces",
        "Write a Service `shop` in the namespace `office` that is another name for the Service web in shop.",
        (
            "A Service that is only another name is of the type ExternalName.",
            "externalName is not searched for: it has to be the whole name.",
            "A Service's whole name is SERVICE.NAMESPACE.svc.cluster.local.",
        ),
        _alias,
    ),
    Exercise(
        "services/url-of-a-member",
        "Write the URL under which a pod in the namespace default reaches db-2, and only db-2.",
        (
            "A member's name stands before that of its headless Service: MEMBER.SERVICE.NAMESPACE.svc.cluster.local.",
            "The Service db is in the namespace bank, and the search list of the namespace default does not try that.",
            "Nobody maps ports here: name the one at which the member listens.",
        ),
        _member,
    ),
    Exercise(
        "services/which-type",
        "Write a type of Service behind each of the situations.",
        (
            "Ask of each: is the client inside or outside, and is the server?",
            "Clients outside need an address that is there when a node is not; for a test a node's own will do.",
            "Where members are not alike, the client must be able to choose one: nobody may stand between.",
        ),
        _which_type,
    ),
    Exercise(
        "services/for-partners-only",
        "Write a Service of the type LoadBalancer for clients of 203.0.113.0/24 only, whose pods see who asks.",
        (
            "A load balancer's Service may have spec.loadBalancerSourceRanges, a list of networks.",
            "The pods see the client where traffic from outside stays on the node that it reached.",
            "That is what spec.externalTrafficPolicy says, as for a NodePort.",
        ),
        _for_partners,
    ),
)
