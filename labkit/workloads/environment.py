"""A container's environment, and the `$(VAR)` references in its command. Pure.

Source: kubelet's makeEnvironmentVariables (pkg/kubelet/kubelet_pods.go), third_party/forked/golang/expansion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from labkit.api.objects import Container, EnvVar, Pod
from labkit.errors import CommandError

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")

_FIELDS: dict[str, Callable[[Pod, str], str]] = {
    "metadata.name": lambda pod, _: pod.name,
    "metadata.namespace": lambda pod, _: pod.namespace,
    "metadata.uid": lambda pod, _: pod.metadata.uid,
    "spec.nodeName": lambda pod, _: pod.spec.node_name,
    "spec.serviceAccountName": lambda pod, _: pod.spec.service_account_name or "default",
    "status.hostIP": lambda pod, _: pod.status.host_ip,
    "status.podIP": lambda _, address: address,
    "status.podIPs": lambda _, address: address,
}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, `$$` a single `$`; a reference to nothing stays as it is."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def command(argv: Sequence[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """A command with its references expanded."""
    return tuple(expand(word, variables) for word in argv)


def variables(container: Container, pod: Pod, address: str) -> dict[str, str]:
    """The variables that the container's `env` sets; each may refer to those before it.

    Raises `CommandError` where a value comes from something that the lab has not.
    """
    values: dict[str, str] = {}
    for variable in container.env:
        values[variable.name] = _value(variable, pod, address, values)
    return values


def _value(variable: EnvVar, pod: Pod, address: str, before: Mapping[str, str]) -> str:
    if variable.value_from is None:
        return expand(variable.value, before)
    path = variable.value_from.field_ref.field_path if variable.value_from.field_ref else ""
    if path in _FIELDS:
        return _FIELDS[path](pod, address)
    if keyed := _KEYED.fullmatch(path):
        values = pod.metadata.labels if keyed[1] == "labels" else pod.metadata.annotations
        return values.get(keyed[2], "")
    source = f"the field {path}" if path else "a ConfigMap, a Secret or a resource"
    raise CommandError(
        f"the variable {variable.name} takes its value from {source}, which the lab does not offer; "
        "give it a plain value, or one of metadata.name, metadata.namespace, metadata.uid, spec.nodeName, status.podIP"
    )
