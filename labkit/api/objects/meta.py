"""What all objects share: metadata, conditions, label selectors."""

from __future__ import annotations

import msgspec


class Base(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """What all views share: frozen, camelCase outside, empty fields left out."""


class OwnerReference(Base, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Base, frozen=True):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Object(Base, frozen=True):
    """Any object: `kind`, `metadata`. The other views add `spec` and `status`."""

    api_version: str = "v1"
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def key(self) -> str:
        """`namespace/name`, or the bare name of a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Condition(Base, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class LabelSelectorRequirement(Base, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(Base, frozen=True):
    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()
