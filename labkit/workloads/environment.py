"""A container's environment, and the `$(VAR)` references in its command. Pure.

    Services ──> envFrom (ConfigMaps, Secrets) ──> env          a later one of the same name wins

Source: kubelet's makeEnvironmentVariables (pkg/kubelet/kubelet_pods.go), third_party/forked/golang/expansion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from labkit.api.objects import Container, EnvFromSource, EnvVar, KeySelector, Pod
from labkit.errors import CommandError
from labkit.workloads import fields, service_variables
from labkit.workloads.fields import Facts
from labkit.workloads.sources import Sources, texts

_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
SourceKind = Literal["ConfigMap", "Secret"]


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


def variables(container: Container, pod: Pod, facts: Facts, sources: Sources) -> dict[str, str]:
    """The variables that the container gets; each of its `env` may refer to those before it.

    Raises `CommandError` with the kubelet's words where a value comes from an object that is not there.
    """
    values = service_variables.variables(pod.namespace, pod.spec.enable_service_links, sources)
    for each in container.env_from:
        values |= _all(each, pod.namespace, sources)
    for variable in container.env:
        value = _value(variable, container, pod, facts, sources, values)
        if value is not None:
            values[variable.name] = value
    return values


def _all(source: EnvFromSource, namespace: str, sources: Sources) -> dict[str, str]:
    """Every key of a ConfigMap or a Secret."""
    kind: SourceKind = "ConfigMap" if source.config_map_ref else "Secret"
    reference = source.config_map_ref or source.secret_ref
    if reference is None:
        return {}
    found = sources.find(kind, namespace, reference.name)
    if found is None:
        if reference.optional:
            return {}
        raise CommandError(f'{kind.lower()} "{reference.name}" not found')
    return {f"{source.prefix}{key}": value.decode(errors="replace") for key, value in texts(found).items()}


def _value(
    variable: EnvVar, container: Container, pod: Pod, facts: Facts, sources: Sources, before: Mapping[str, str]
) -> str | None:
    """None: it comes from something optional that is not there."""
    source = variable.value_from
    if source is None:
        return expand(variable.value, before)
    if source.field_ref:
        return fields.field(source.field_ref.field_path, pod, facts)
    if source.resource_field_ref:
        return fields.resource(source.resource_field_ref, container, pod, facts)
    if source.config_map_key_ref:
        return _keyed("ConfigMap", source.config_map_key_ref, pod.namespace, sources)
    if source.secret_key_ref:
        return _keyed("Secret", source.secret_key_ref, pod.namespace, sources)
    raise CommandError(f"the variable {variable.name} takes its value from nothing that is known")


def _keyed(kind: SourceKind, selector: KeySelector, namespace: str, sources: Sources) -> str | None:
    found = sources.find(kind, namespace, selector.name)
    value = None if found is None else texts(found).get(selector.key)
    if value is not None:
        return value.decode(errors="replace")
    if selector.optional:
        return None
    if found is None:
        raise CommandError(f'{kind.lower()} "{selector.name}" not found')
    raise CommandError(f"couldn't find key {selector.key} in {kind} {namespace}/{selector.name}")
