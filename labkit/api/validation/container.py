"""Containers and their probes (pkg/apis/core/validation/validation.go, validateContainers and validateProbe)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, duplicate, forbidden, invalid, required, unsupported
from labkit.api.validation import numbers, quantities, syntax
from labkit.api.validation.ephemeral import security_context
from labkit.api.validation.volumes import mounts

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
SCHEMES = ("HTTP", "HTTPS")
HANDLERS = ("exec", "grpc", "httpGet", "tcpSocket")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")

Fields = dict[str, Any]


def containers(spec: Fields, path: str) -> Iterator[Problem]:
    """All containers of a pod spec, with what they share: names, host ports, volumes."""
    if not spec.get("containers") and spec.get("containers") is not None:
        yield required(f"{path}.containers", remedy="Add a container: a pod runs at least one.")
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    names = {c.get("name") for c in spec.get("containers") or []}
    host_ports: set[tuple[str, str, int]] = set()
    for group in ("initContainers", "containers"):
        for index, item in enumerate(spec.get(group) or []):
            where = f"{path}.{group}[{index}]"
            yield from _container(item, where, volumes)
            yield from _ports(item, f"{where}.ports", bool(spec.get("hostNetwork")))
            yield from _host_ports(item, f"{where}.ports", host_ports)
            if group == "initContainers":
                yield from _init_container(item, where, names)


def _container(item: Fields, path: str, volumes: set[Any]) -> Iterator[Problem]:
    name, image = item.get("name"), item.get("image") or ""
    if name is not None:
        yield from syntax.checked(f"{path}.name", name, syntax.dns_label)
    if not image:
        yield required(f"{path}.image", remedy="Name the image that the container runs.")
    elif image != image.strip():
        yield invalid(f"{path}.image", image, "must not have leading or trailing whitespace", "Remove the blanks.")
    if item["imagePullPolicy"] not in PULL_POLICIES:
        yield unsupported(f"{path}.imagePullPolicy", item["imagePullPolicy"], PULL_POLICIES)
    for index, variable in enumerate(item.get("env") or []):
        yield from _variable(variable, f"{path}.env[{index}]")
    yield from mounts(item, f"{path}.volumeMounts", volumes)
    yield from quantities.requirements(item.get("resources") or {}, f"{path}.resources")
    yield from security_context(item.get("securityContext") or {}, f"{path}.securityContext")
    if item.get("terminationMessagePolicy") not in (None, *MESSAGE_POLICIES):
        yield unsupported(f"{path}.terminationMessagePolicy", item["terminationMessagePolicy"], MESSAGE_POLICIES)
    for name in PROBES:
        if item.get(name) is not None:
            yield from _probe(item[name], f"{path}.{name}", once=name != "readinessProbe")
    for event, handler in (item.get("lifecycle") or {}).items():
        if event in ("postStart", "preStop") and handler is not None:
            yield from _handler(handler, f"{path}.lifecycle.{event}", ("exec", "httpGet", "sleep", "tcpSocket"))


def _init_container(item: Fields, path: str, names: set[Any]) -> Iterator[Problem]:
    if item.get("name") and item["name"] in names:
        yield duplicate(f"{path}.name", item["name"])
    policy = item.get("restartPolicy")
    if policy == "Always":
        return  # a sidecar (KEP-753), which may have probes
    if policy is not None:
        yield unsupported(f"{path}.restartPolicy", policy, ("Always",), "Write Always, or leave it out.")
    for name in (*PROBES, "lifecycle"):
        if item.get(name) is not None:
            detail = "may not be set for init containers without restartPolicy=Always"
            yield forbidden(f"{path}.{name}", detail, f"Remove {name}: an init container runs to its end.")


def _variable(variable: Fields, path: str) -> Iterator[Problem]:
    name = variable.get("name")
    if name == "":
        yield required(f"{path}.name", remedy="Give the variable a name.")
    elif name is not None:
        yield from syntax.checked(f"{path}.name", name, syntax.env_name)
    source = {key: value for key, value in (variable.get("valueFrom") or {}).items() if value is not None}
    if source and variable.get("value"):
        detail = "may not be specified when `value` is not empty"
        yield invalid(f"{path}.valueFrom", "", detail, "Write either value or valueFrom.")
    elif variable.get("valueFrom") is not None and len(source) != 1:
        detail = "may not have more than one field specified at a time" if source else "must specify one of its sources"
        yield invalid(f"{path}.valueFrom", "", detail, "Write one of fieldRef, configMapKeyRef, secretKeyRef.")


def _ports(item: Fields, path: str, host_network: bool) -> Iterator[Problem]:
    names: set[str] = set()
    for index, port in enumerate(item.get("ports") or []):
        where, name, number = f"{path}[{index}]", port.get("name"), port.get("containerPort")
        if name:
            yield from syntax.checked(f"{where}.name", name, syntax.port_name, "Use at most 15 lower case letters.")
            if name in names:
                yield duplicate(f"{where}.name", name)
            names.add(name)
        if number is not None:
            yield from numbers.port(f"{where}.containerPort", number)
        host_port = port.get("hostPort") or 0
        if host_port:
            yield from numbers.port(f"{where}.hostPort", host_port)
        if host_network and host_port != number:
            detail = "must match `containerPort` when `hostNetwork` is true"
            yield invalid(f"{where}.hostPort", host_port, detail, "Remove hostPort: with hostNetwork it says nothing.")
        yield from numbers.protocol(f"{where}.protocol", port["protocol"])


def _host_ports(item: Fields, path: str, taken: set[tuple[str, str, int]]) -> Iterator[Problem]:
    """A host port can be given once in a pod, per protocol and address."""
    for index, port in enumerate(item.get("ports") or []):
        if port.get("hostPort"):
            key = (port["protocol"], port.get("hostIP") or "", port["hostPort"])
            if key in taken:
                yield duplicate(f"{path}[{index}].hostPort", f"{key[0]}/{key[1]}/{key[2]}")
            taken.add(key)


def _probe(probe: Fields, path: str, once: bool) -> Iterator[Problem]:
    """`once`: for liveness and startup one success is the only choice."""
    yield from _handler(probe, path, HANDLERS)
    yield from numbers.not_negative(probe, path, *PROBE_NUMBERS)
    if once and probe["successThreshold"] != 1:
        yield invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1", "Write 1, or leave it out.")


def _handler(handler: Fields, path: str, kinds: tuple[str, ...]) -> Iterator[Problem]:
    used = [kind for kind in kinds if handler.get(kind) is not None]
    if not used:
        yield required(path, "must specify a handler type", f"Add one of {', '.join(kinds)}.")
    for extra in used[1:]:
        remedy = f"Keep one of {', '.join(used)}."
        yield forbidden(f"{path}.{extra}", "may not specify more than 1 handler type", remedy)
    for kind in used:
        action = handler[kind]
        if kind == "exec" and not action.get("command"):
            yield required(f"{path}.exec.command", remedy="Write the command as a list of words.")
        if kind in ("httpGet", "tcpSocket", "grpc") and action.get("port") is not None:
            yield from numbers.port_or_name(f"{path}.{kind}.port", action["port"])
        if kind == "httpGet" and action["scheme"] not in SCHEMES:
            yield unsupported(f"{path}.httpGet.scheme", action["scheme"], SCHEMES)
