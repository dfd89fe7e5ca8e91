"""Volumes of a pod, and what points at fields, keys and objects (core/v1)."""

from __future__ import annotations

import msgspec

from labkit.api.objects.meta import Base


class ObjectFieldSelector(Base, frozen=True):
    field_path: str


class ResourceFieldSelector(Base, frozen=True):
    """A container's limit or request, in units of `divisor`."""

    resource: str
    container_name: str = ""
    divisor: str | int | float = "0"


class SourceReference(Base, frozen=True):
    """A ConfigMap or a Secret as a whole."""

    name: str = ""
    optional: bool = False


class KeyToPath(Base, frozen=True):
    key: str
    path: str
    mode: int | None = None


class ConfigMapVolumeSource(Base, frozen=True):
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = None
    optional: bool = False


class SecretVolumeSource(Base, frozen=True):
    """`secret_name` in a volume of its own, `name` in a projected one."""

    secret_name: str = ""
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = None
    optional: bool = False


class DownwardAPIVolumeFile(Base, frozen=True):
    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None


class DownwardAPIVolumeSource(Base, frozen=True):
    items: tuple[DownwardAPIVolumeFile, ...] = ()
    default_mode: int | None = None


class ServiceAccountTokenProjection(Base, frozen=True):
    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class VolumeProjection(Base, frozen=True):
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = msgspec.field(default=None, name="downwardAPI")
    service_account_token: ServiceAccountTokenProjection | None = None


class ProjectedVolumeSource(Base, frozen=True):
    sources: tuple[VolumeProjection, ...] = ()
    default_mode: int | None = None


class EmptyDirVolumeSource(Base, frozen=True):
    medium: str = ""


class HostPathVolumeSource(Base, frozen=True):
    path: str
    type: str = ""


class PersistentVolumeClaimVolumeSource(Base, frozen=True):
    claim_name: str
    read_only: bool = False


class Volume(Base, frozen=True):
    """Exactly one source is given; without any it is an empty directory."""

    name: str
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
