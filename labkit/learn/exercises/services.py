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
)
