"""From client-side apply to server-side: what kubectl's annotation says counts as kubectl's own.

Source: apimachinery/pkg/util/managedfields/internal/{lastappliedmanager,lastappliedupdater,lastapplied}.go.
"""

from __future__ import annotations

import msgspec

from labkit.control.fields.compare import compare, owned
from labkit.control.fields.shapes import Kind, Raw
from labkit.control.fields.tree import Tree, difference, union
from labkit.control.fields.typed import tree_of

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "kubectl"
LONGEST = 256 << 10  # of all annotations of an object

_encode = msgspec.json.Encoder(order="sorted").encode


def still_true(kind: Kind, live: Raw, subresource: str) -> Tree:
    """The fields of the object in the annotation that are as it says."""
    try:
        last = msgspec.json.decode(_annotations(live).get(ANNOTATION, ""))
    except (msgspec.DecodeError, TypeError):
        return {}
    if type(last) is not dict:
        return {}
    tree, errors = tree_of(last, kind.root)
    if errors:
        return {}
    changed, gone = compare(kind, last, live, subresource)
    return difference(owned(kind, tree, subresource), union(changed, gone))


def renewed(applied: Raw, made: Raw) -> Raw:
    """What was made of an object, its annotation (where it has one) saying what was applied."""
    annotations = _annotations(made)
    if ANNOTATION not in annotations:
        return made
    said = {name: value for name, value in _annotations(applied).items() if name != ANNOTATION}
    metadata = {**applied["metadata"], "annotations": said}
    text = (_encode({**applied, "metadata": metadata}) + b"\n").decode()
    kept = {**annotations, ANNOTATION: text if len(text) <= LONGEST else ""}
    return {**made, "metadata": {**made["metadata"], "annotations": kept}}


def _annotations(raw: Raw) -> dict[str, str]:
    return raw.get("metadata", {}).get("annotations") or {}
