"""Where pods may run: tolerations, affinities, topology spread, gates (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api.problem import Problem, duplicate, invalid, required, unsupported
from labkit.api.validation import selector, syntax

EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
NODE_OPERATORS = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
UNSATISFIED = ("DoNotSchedule", "ScheduleAnyway")
INCLUSION = ("Honor", "Ignore")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Fields = dict[str, Any]


def placement(spec: Fields, path: str) -> Iterator[Problem]:
    """All of it, of one pod spec."""
    for index, item in enumerate(spec.get("tolerations") or []):
        yield from toleration(item, f"{path}.tolerations[{index}]")
    affinity = spec.get("affinity") or {}
    if affinity.get("nodeAffinity") is not None:
        yield from _node_affinity(affinity["nodeAffinity"], f"{path}.affinity.nodeAffinity")
    for name in ("podAffinity", "podAntiAffinity"):
        if affinity.get(name) is not None:
            yield from _pod_affinity(affinity[name], f"{path}.affinity.{name}")
    yield from _spread(spec.get("topologySpreadConstraints") or [], f"{path}.topologySpreadConstraints")
    names: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or []):
        where, name = f"{path}.schedulingGates[{index}]", gate.get("name") or ""
        yield from syntax.checked(where, name, syntax.qualified_name)
        if name in names:
            yield duplicate(where, name)
        names.add(name)


def toleration(item: Fields, path: str) -> Iterator[Problem]:
    key, operator, value = item.get("key") or "", item.get("operator") or "", item.get("value") or ""
    effect = item.get("effect") or ""
    if key:
        yield from syntax.checked(f"{path}.key", key, syntax.qualified_name)
    elif operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        yield invalid(f"{path}.operator", operator, why, "Write operator: Exists, or a key.")
    if item.get("tolerationSeconds") is not None and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid(f"{path}.effect", effect, why, "Write effect: NoExecute, or remove tolerationSeconds.")
    if operator in ("Equal", ""):
        if complaints := list(syntax.label_value(value)):
            yield invalid(f"{path}.operator", value, ";".join(complaints), "Correct the value.")
    elif operator != "Exists":
        yield unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    elif value:
        yield invalid(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'", "Remove value.")
    if effect and effect not in EFFECTS:
        yield unsupported(f"{path}.effect", effect, EFFECTS)


def node_selector(item: Fields, path: str) -> Iterator[Problem]:
    terms = item.get("nodeSelectorTerms")
    if terms is not None and not terms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms or []):
        yield from _node_term(term, f"{path}.nodeSelectorTerms[{index}]")


def _node_term(term: Fields, path: str) -> Iterator[Problem]:
    for field in ("matchExpressions", "matchFields"):
        for index, item in enumerate(term.get(field) or []):
            where, operator, values = f"{path}.{field}[{index}]", item.get("operator"), item.get("values") or []
            if operator in ("Gt", "Lt") and len(values) != 1:
                why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                yield required(f"{where}.values", why, "Write one number.")
            elif operator is not None and operator not in NODE_OPERATORS:
                remedy = f"Write one of {', '.join(NODE_OPERATORS)}."
                yield invalid(f"{where}.operator", operator, "not a valid selector operator", remedy)
            yield from selector.requirement(item, where)


def _node_affinity(affinity: Fields, path: str) -> Iterator[Problem]:
    if affinity.get(REQUIRED) is not None:
        yield from node_selector(affinity[REQUIRED], f"{path}.{REQUIRED}")
    for index, item in enumerate(affinity.get(PREFERRED) or []):
        where = f"{path}.{PREFERRED}[{index}]"
        yield from _weight(item, where)
        yield from _node_term(item.get("preference") or {}, f"{where}.preference")


def _pod_affinity(affinity: Fields, path: str) -> Iterator[Problem]:
    for index, term in enumerate(affinity.get(REQUIRED) or []):
        yield from _pod_term(term, f"{path}.{REQUIRED}[{index}]")
    for index, item in enumerate(affinity.get(PREFERRED) or []):
        where = f"{path}.{PREFERRED}[{index}]"
        yield from _weight(item, where)
        yield from _pod_term(item.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")


def _weight(item: Fields, path: str) -> Iterator[Problem]:
    weight = item.get("weight")
    if weight is not None and not 1 <= weight <= 100:
        yield invalid(f"{path}.weight", weight, "must be in the range 1-100", "Choose from 1 to 100.")


def _pod_term(term: Fields, path: str) -> Iterator[Problem]:
    yield from selector.label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    yield from selector.label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for name in term.get("namespaces") or []:
        yield from syntax.checked(f"{path}.namespace", name, syntax.dns_label)
    key = term.get("topologyKey")
    if key == "":
        yield required(f"{path}.topologyKey", "can not be empty", "Name a label of nodes.")
    if key is not None:
        yield from syntax.checked(f"{path}.topologyKey", key, syntax.qualified_name)


def _spread(constraints: list[Fields], path: str) -> Iterator[Problem]:
    for index, item in enumerate(constraints):
        where, skew, key = f"{path}[{index}]", item.get("maxSkew"), item.get("topologyKey")
        unsatisfied, least = item.get("whenUnsatisfiable"), item.get("minDomains")
        if skew is not None and skew <= 0:
            yield invalid(f"{where}.maxSkew", skew, "must be greater than zero", "Write 1 or more.")
        if key == "":
            yield required(f"{where}.topologyKey", "can not be empty", "Name a label of nodes.")
        elif key is not None:
            yield from syntax.checked(f"{where}.topologyKey", key, syntax.qualified_name)
        if unsatisfied is not None and unsatisfied not in UNSATISFIED:
            yield unsupported(f"{where}.whenUnsatisfiable", unsatisfied, UNSATISFIED)
        if any((key, unsatisfied) == (i.get("topologyKey"), i.get("whenUnsatisfiable")) for i in constraints[:index]):
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {unsatisfied}}}")
        if least is not None and least <= 0:
            yield invalid(f"{where}.minDomains", least, "must be greater than zero", "Write 1 or more.")
        if least is not None and unsatisfied != "DoNotSchedule":
            why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfied}"
            yield invalid(f"{where}.minDomains", least, why, "Remove minDomains.")
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if item.get(name) is not None and item[name] not in INCLUSION:
                yield unsupported(f"{where}.{name}", item[name], INCLUSION)
        yield from selector.label_selector(item.get("labelSelector"), f"{where}.labelSelector")
