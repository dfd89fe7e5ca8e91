"""What of a kind is owned apart, and what as a whole: compiled once from its schema, walked for every write.

    None     owned as a whole: scalars, atomic maps and lists
    Fields   a map whose fields are owned apart; `rest` is the shape of those that it has no name for
    Items    a list whose items are told apart by keys           Values   a list that is a set of scalars

Source: kube-openapi/pkg/schemaconv/{smd,openapi}.go; structured-merge-diff/v6/typed/{tofieldset,helpers}.go.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import msgspec

from labkit.api.kinds import BY_KIND
from labkit.api.schema import KEY_DEFAULTS, Schema, definition, definitions
from labkit.control.fields.tree import MEMBER, Tree

Raw = dict[str, Any]
_encode = msgspec.json.Encoder(order="sorted").encode
_EMPTY_OF = {"string": "", "integer": 0, "boolean": False}
BORN = frozenset(
    {
        "containers", "jobTemplate", "loadBalancer", "metadata", "resources", "source", "spec", "status", "strategy",
        "template", "updateStrategy",
    }
)  # fmt: skip
"""Structs, and one list, that an object of a built-in kind has from birth, all the way from its root: they are nobody's
own. (The Go fields that are neither pointers nor left out when they are empty.)"""


class Fields:
    """A map. `names`: field -> its step and shape; `closed` where other fields may not be."""

    __slots__ = ("closed", "names", "rest")

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, Shape]] = {}
        self.rest: Shape = None
        self.closed = False

    def field(self, name: str) -> tuple[str, Shape]:
        return self.names.get(name) or (f"f:{name}", self.rest)

    def tree(self, value: Any) -> Tree:
        """All that there is in a value, every level of it; a null counts as absent."""
        if not value or type(value) is not dict:
            return MEMBER
        names, rest = self.names, self.rest
        tree = {".": MEMBER}
        for name, child in value.items():
            if child is not None:
                step, shape = names.get(name) or (f"f:{name}", rest)
                tree[step] = MEMBER if shape is None else shape.tree(child)
        return tree


class Items:
    """A list of maps with keys; `defaults` are those of the keys (None: has none)."""

    __slots__ = ("defaults", "item", "keys")

    def __init__(self, item: Shape, keys: tuple[str, ...], defaults: tuple[Any, ...]) -> None:
        self.item, self.keys, self.defaults = item, keys, defaults

    def step(self, item: Any) -> str:
        if type(item) is not dict:
            return f"v:{_encode(item).decode()}"
        if len(self.keys) == 1:
            values: tuple[Any, ...] = (item.get(self.keys[0], self.defaults[0]),)
        else:
            values = tuple([item.get(key, default) for key, default in zip(self.keys, self.defaults, strict=True)])
        try:
            return _key_step(self.keys, values)
        except TypeError:  # a key that is itself a map or a list
            return "k:" + _encode(dict(zip(self.keys, values, strict=True))).decode()

    def tree(self, value: Any) -> Tree:
        if not value or type(value) is not list:
            return MEMBER
        tree = {".": MEMBER}
        for item in value:
            step = self.step(item)
            tree[step] = MEMBER if step in tree or self.item is None else self.item.tree(item)
        return tree


class Values:
    """A list that is a set."""

    __slots__ = ()
    item: Shape = None

    def step(self, item: Any) -> str:
        return f"v:{_encode(item).decode()}"

    def tree(self, value: Any) -> Tree:
        if not value or type(value) is not list:
            return MEMBER
        return {".": MEMBER, **{self.step(item): MEMBER for item in value}}


Shape = Fields | Items | Values | None
VALUES = Values()
DEDUCED = Fields()
"""For what no schema describes: maps are granular, lists atomic."""
DEDUCED.rest = DEDUCED


@lru_cache(4096, typed=True)
def _key_step(keys: tuple[str, ...], values: tuple[Any, ...]) -> str:
    return "k:" + _encode(dict(zip(keys, values, strict=True))).decode()


class Kind(NamedTuple):
    """The shape of a kind. `status`: it is written through a subresource; `born`: it has parts from birth (`BORN`)."""

    root: Fields
    status: bool
    born: bool


@cache
def builtin(api_version: str, kind: str) -> Kind:
    """The shape of a built-in kind, or a deduced one where the lab has no schema for it."""
    schema = definition(api_version, kind)
    known = BY_KIND.get(kind)
    has_status = known is not None and "status" in known.subresources
    root = _Compiler().shape(schema) if schema else None
    return Kind(root if isinstance(root, Fields) else DEDUCED, has_status, schema is not None)


def custom(schema: Schema | None, status: bool = False) -> Kind:
    """The shape of a custom kind, from its structural schema (`openAPIV3Schema`); compile it once for each version.

    `status`: whether the version has the status subresource.
    """
    root = _Compiler(custom=True).shape(schema) if schema else None
    if not isinstance(root, Fields):
        return Kind(DEDUCED, status, False)
    own = Fields()
    own.names = {**root.names, "apiVersion": ("f:apiVersion", None), "kind": ("f:kind", None), "metadata": _metadata()}
    own.rest, own.closed = root.rest, root.closed
    return Kind(own, status, False)


@cache
def _metadata() -> tuple[str, Shape]:
    return builtin("v1", "ConfigMap").root.names["metadata"]


class _Compiler:
    """One schema; a definition that refers to itself gets the shape that is being made."""

    def __init__(self, custom: bool = False) -> None:
        self._custom = custom
        self._made: dict[str, Fields] = {}

    def shape(self, schema: Schema) -> Shape:
        reference = schema.get("$ref")
        if reference is not None:
            if reference in self._made:
                return self._made[reference]
            schema = {**definitions()[reference], **{k: v for k, v in schema.items() if k != "$ref"}}
        if schema.get("x-kubernetes-int-or-string"):
            return None
        preserved = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
        match schema.get("type"):
            case "array":
                return self._list(schema)
            case "object":
                return self._map(schema, reference, preserved)
            case _:
                return DEDUCED if preserved else None

    def _map(self, schema: Schema, reference: str | None, preserved: bool) -> Shape:
        rest = schema.get("additionalProperties")
        properties = schema.get("properties")
        if schema.get("x-kubernetes-map-type") == "atomic":
            return None
        if properties is None and not isinstance(rest, dict):
            return DEDUCED if self._custom else None
        made = Fields()
        if reference is not None:
            self._made[reference] = made
        for name, field in (properties or {}).items():
            made.names[name] = f"f:{name}", self.shape(field)
        if isinstance(rest, dict):
            made.rest = self.shape(rest)
        elif preserved:
            made.rest = DEDUCED
        else:
            made.closed = True
        if schema.get("x-kubernetes-embedded-resource"):
            made.names |= {"apiVersion": ("f:apiVersion", None), "kind": ("f:kind", None), "metadata": _metadata()}
        return made

    def _list(self, schema: Schema) -> Shape:
        keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
        kind = schema.get("x-kubernetes-list-type")
        if kind is None and "merge" in schema.get("x-kubernetes-patch-strategy", ""):
            key = schema.get("x-kubernetes-patch-merge-key")
            kind, keys = ("map", (key,)) if key else ("set", ())
        item = schema.get("items", {})
        if kind == "set":
            return VALUES
        if kind != "map":
            return None
        fields = item.get("properties") or definitions().get(item.get("$ref", ""), {}).get("properties", {})
        return Items(self.shape(item), keys, tuple(self._default(key, fields.get(key, {})) for key in keys))

    def _default(self, key: str, field: Schema) -> Any:
        if self._custom:
            return field.get("default")
        return KEY_DEFAULTS.get(key, _EMPTY_OF.get(field.get("type", "")))
