"""The three-way merge of `kubectl apply`: what the file says now, what it said last time, what there is.

    file now ------------------------------> set
    file last time, no longer in the file -> remove
    in neither (defaults, others' work) ---> keep

Lists merge item by item where the schema says so (strategic merge): containers by name, a Service's ports by port and
protocol. Source: k8s.io/apimachinery/pkg/util/strategicpatch, kubectl/pkg/util/apply.go; KEP-555 for the list keys.
"""

from __future__ import annotations

from typing import Any

from labkit.api.schema import KEY_DEFAULTS, Schema
from labkit.control.patch.shape import STRATEGY, field, merge_key, resolved, strategies

Object = dict[str, Any]


def merge(last: Object, now: Object, current: Object, schema: Schema) -> Object:
    """`current` with the changes that lead from `last` to `now`. A null in `now` removes. Shares parts with both."""
    merged = {name: value for name, value in current.items() if name in now or name not in last}
    for name, value in now.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _value(last.get(name), value, current.get(name), field(schema, name))
    return merged


def _value(last: Any, now: Any, current: Any, schema: Schema) -> Any:
    if isinstance(now, dict) and isinstance(current, dict):
        merged = merge(last if isinstance(last, dict) else {}, now, current, resolved(schema))
        return {k: v for k, v in merged.items() if k in now} if "retainKeys" in strategies(schema) else merged
    if isinstance(now, list) and isinstance(current, list) and "merge" in strategies(schema):
        return _list(last if isinstance(last, list) else [], now, current, schema)
    return now


def _list(last: list[Any], now: list[Any], current: list[Any], schema: Schema) -> list[Any]:
    """The items of `now` in their order, merged with their counterparts; then those that are not the file's."""
    names = schema.get("x-kubernetes-list-map-keys") or [merge_key(schema)]
    before, wanted, present = (_by_key(items, names) for items in (last, now, current))
    if wanted is None or present is None or before is None:  # items that no key tells apart
        return now
    item = {**schema["items"], STRATEGY: schema[STRATEGY]}
    merged = [_value(before.get(key), value, present.get(key), item) for key, value in wanted.items()]
    return merged + [value for key, value in present.items() if key not in wanted and key not in before]


def _by_key(items: list[Any], names: list[str]) -> dict[Any, Any] | None:
    keyed = {}
    for item in items:
        key = tuple(item.get(n, KEY_DEFAULTS.get(n)) for n in names) if isinstance(item, dict) else item
        keyed[key] = item
    return keyed if len(keyed) == len(items) else None
