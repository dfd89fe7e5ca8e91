"""What is in a pod's volumes. Pure.

    configMap, secret, downwardAPI, projected ──> Files: paths with their contents and modes
    emptyDir, persistentVolumeClaim, hostPath ──> Directory: one of the lab, or one that the node has

Source: pkg/volume/{configmap,secret,downwardapi,projected,emptydir,hostpath}, whose words the errors are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from labkit.api.objects import (
    ConfigMapVolumeSource,
    DownwardAPIVolumeSource,
    KeyToPath,
    Pod,
    ProjectedVolumeSource,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
)
from labkit.errors import CommandError
from labkit.workloads import fields
from labkit.workloads.fields import Facts
from labkit.workloads.sources import Sources, texts

DEFAULT_MODE = 0o644
TOKEN_MODE = 0o600

Owner = Literal["pod", "claim", "host"]
Token = Callable[[ServiceAccountTokenProjection], str]
Contents = dict[str, tuple[bytes, int]]
"""By path below the volume: bytes and mode."""


class Files(msgspec.Struct, frozen=True):
    """Files that follow the objects they come from."""

    contents: Contents


class Directory(msgspec.Struct, frozen=True):
    """A directory: the pod's own, a claim's (`name`), or the node's (`name` is its path, `kind` a hostPath type)."""

    owner: Owner
    name: str = ""
    kind: str = ""
    read_only: bool = False


Source = Files | Directory


def plan(pod: Pod, facts: Facts, sources: Sources, token: Token) -> dict[str, Source]:
    """The pod's volumes by name. Raises `CommandError` with `details["volume"]` where one cannot be filled."""
    found: dict[str, Source] = {}
    for volume in pod.spec.volumes:
        try:
            found[volume.name] = _volume(volume, pod, facts, sources, token)
        except CommandError as error:
            raise CommandError(error.message, volume=volume.name) from None
    return found


def references(pod: Pod) -> set[tuple[str, str]]:
    """(kind, name) of every object of its namespace that the pod's volumes and variables take something from."""
    found: set[tuple[str, str]] = set()
    for volume in pod.spec.volumes:
        parts = volume.projected.sources if volume.projected else (volume,)
        for part in parts:
            if part.config_map:
                found.add(("ConfigMap", part.config_map.name))
            if part.secret:
                found.add(("Secret", part.secret.secret_name or part.secret.name))
        if volume.persistent_volume_claim:
            found.add(("PersistentVolumeClaim", volume.persistent_volume_claim.claim_name))
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        for each in container.env_from:
            found |= {("ConfigMap", each.config_map_ref.name)} if each.config_map_ref else set()
            found |= {("Secret", each.secret_ref.name)} if each.secret_ref else set()
        for variable in container.env:
            if source := variable.value_from:
                found |= {("ConfigMap", source.config_map_key_ref.name)} if source.config_map_key_ref else set()
                found |= {("Secret", source.secret_key_ref.name)} if source.secret_key_ref else set()
    return found


def _volume(volume: Volume, pod: Pod, facts: Facts, sources: Sources, token: Token) -> Source:
    namespace = pod.namespace
    if volume.config_map:
        return Files(_config_map(volume.config_map, namespace, sources, DEFAULT_MODE))
    if volume.secret:
        return Files(_secret(volume.secret, namespace, sources, DEFAULT_MODE))
    if volume.downward_api:
        return Files(_downward(volume.downward_api, pod, facts, DEFAULT_MODE))
    if volume.projected:
        return Files(_projected(volume.projected, pod, facts, sources, token))
    if volume.host_path:
        return Directory("host", volume.host_path.path, volume.host_path.type)
    if claim := volume.persistent_volume_claim:
        if sources.find("PersistentVolumeClaim", namespace, claim.claim_name) is None:
            raise CommandError(f'persistentvolumeclaim "{claim.claim_name}" not found')
        return Directory("claim", claim.claim_name, read_only=claim.read_only)
    return Directory("pod")


def _projected(source: ProjectedVolumeSource, pod: Pod, facts: Facts, sources: Sources, token: Token) -> Contents:
    mode = DEFAULT_MODE if source.default_mode is None else source.default_mode
    found: Contents = {}
    for part in source.sources:
        if part.config_map:
            found |= _config_map(part.config_map, pod.namespace, sources, mode)
        elif part.secret:
            found |= _secret(part.secret, pod.namespace, sources, mode)
        elif part.downward_api:
            found |= _downward(part.downward_api, pod, facts, mode)
        elif part.service_account_token:
            # The lab's pods run as root, to whom a token belongs that others may not read (projected.go).
            found[part.service_account_token.path] = token(part.service_account_token).encode(), TOKEN_MODE
    return found


def _config_map(source: ConfigMapVolumeSource, namespace: str, sources: Sources, mode: int) -> Contents:
    found = sources.find("ConfigMap", namespace, source.name)
    if found is None and not source.optional:
        raise CommandError(f'configmap "{source.name}" not found')
    values = texts(found) if found else {}
    complaint = "configmap references non-existent config key"
    return dict(_picked(values, source.items, source.default_mode, mode, source.optional, complaint))


def _secret(source: SecretVolumeSource, namespace: str, sources: Sources, mode: int) -> Contents:
    name = source.secret_name or source.name
    found = sources.find("Secret", namespace, name)
    if found is None and not source.optional:
        raise CommandError(f'secret "{name}" not found')
    values = texts(found) if found else {}
    complaint = "references non-existent secret key"
    return dict(_picked(values, source.items, source.default_mode, mode, source.optional, complaint))


def _picked(
    values: dict[str, bytes],
    items: Sequence[KeyToPath],
    own: int | None,
    mode: int,
    optional: bool,
    complaint: str,
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    """All keys under their own names, or the listed ones under the names that they are given."""
    mode = mode if own is None else own
    if not items:
        yield from ((key, (value, mode)) for key, value in values.items())
    for item in items:
        if item.key in values:
            yield item.path, (values[item.key], mode if item.mode is None else item.mode)
        elif not optional:
            raise CommandError(f"{complaint}: {item.key}")


def _downward(source: DownwardAPIVolumeSource, pod: Pod, facts: Facts, mode: int) -> Contents:
    mode = mode if source.default_mode is None else source.default_mode
    found: Contents = {}
    for item in source.items:
        if item.field_ref:
            text = fields.field(item.field_ref.field_path, pod, facts)
        elif item.resource_field_ref:
            text = fields.resource(item.resource_field_ref, pod.spec.containers[0], pod, facts)
        else:
            continue
        found[item.path] = text.encode(), mode if item.mode is None else item.mode
    return found
