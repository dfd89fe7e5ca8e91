"""The CEL rules of a custom resource's schema (x-kubernetes-validations): compiled as it is defined, run on each write.

    rule, e.g. "self.min <= self.max" ──compile, once──► program ──self, oldSelf──► true, or the rule's message

Costs are bounded: an expression gives up after 10,000 steps of its loops, an object after `MOST_RULES` evaluations.
Unlike the real one, all values are of dynamic type as a rule is compiled, two lists of type set are equal only in the
same order, and nested fields with the format date-time or duration are texts.
Source: apiextensions-apiserver/pkg/apiserver/schema/cel/{compilation,validation,values}.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from labkit.api.problem import Problem, duplicate, forbidden, invalid, required
from labkit.control.custom import library

Schema = dict[str, Any]
Rule = Mapping[str, Any]

RULES = "x-kubernetes-validations"
MOST_RULES = 5_000
RESERVED = frozenset(
    ("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while")
)  # fmt: skip
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
SCALARS = {"date-time": "timestamp(self)", "duration": "duration(self)", "byte": "base64.decode(self)"}


def faults(schema: Schema, path: str) -> Iterator[Problem]:
    """What is wrong with the rules of a schema and of those in it."""
    for index, rule in enumerate(schema.get(RULES) or []):
        yield from _fault(rule, schema, f"{path}.{RULES}[{index}]")
    for name, child in (schema.get("properties") or {}).items():
        yield from faults(child, f"{path}.properties[{name}]")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from faults(schema[keyword], f"{path}.{keyword}")


def _fault(rule: Rule, schema: Schema, path: str) -> Iterator[Problem]:
    text, message = rule.get("rule", "").strip(), rule.get("message")
    if not text:
        yield required(f"{path}.rule", "rule is not specified")
        return
    if message is not None and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified", "Write one, or leave it out.")
    elif "\n" in (message or "").strip():
        yield invalid(f"{path}.message", message, "must not contain line breaks", "Write it on one line.")
    elif "\n" in text and not message:
        yield required(f"{path}.message", "message must be specified if rule contains line breaks")
    reasons = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
    if rule.get("reason") and rule["reason"] not in reasons:
        listed = ", ".join(f'"{reason}"' for reason in reasons)
        yield Problem(f"{path}.reason", f'Unsupported value: "{rule["reason"]}": supported values: {listed}')
    program = compiled(_source(rule, schema))
    if isinstance(program, str):
        yield invalid(f"{path}.rule", dict(rule), f"compilation failed: {program}", "Correct the rule.")
    elif program.return_type().name() not in ("BOOL", "DYN"):
        yield invalid(f"{path}.rule", dict(rule), "cel expression must evaluate to a bool", "Compare something.")
    if rule.get("messageExpression"):
        program = compiled(rule["messageExpression"])
        where = f"{path}.messageExpression"
        if isinstance(program, str):
            yield invalid(where, dict(rule), f"messageExpression compilation failed: {program}", "Correct it.")
        elif program.return_type().name() not in ("STRING", "DYN"):
            yield invalid(where, dict(rule), "messageExpression must evaluate to a string", "Make it a text.")


def uses_old(rule: Rule) -> bool:
    return "oldSelf" in rule.get("rule", "")


def _source(rule: Rule, schema: Schema) -> str:
    """The rule, with an optional oldSelf, and a self of the type that the schema's format says."""
    text: str = rule["rule"]
    if rule.get("optionalOldSelf"):
        text = f"cel.bind(oldSelf, size(before) == 0 ? optional.none() : optional.of(before[0]), {text}\n)"
    converted = SCALARS.get(schema.get("format", "")) if schema.get("type") == "string" else None
    return f"cel.bind(self, {converted}, {text}\n)" if converted else text


@lru_cache(4096)
def compiled(text: str) -> Any:
    """The program; the text of what is wrong with it where it is none."""
    try:
        return library.environment().compile(text)
    except (RuntimeError, ValueError) as error:
        return str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")


class Run:
    """One object's rules: what they find, within the object's budget. `where` is what `ruled` says of the schema."""

    def __init__(self, where: frozenset[int]) -> None:
        self._where = where
        self._left = MOST_RULES

    def problems(self, value: Any, old: Any, schema: Schema, path: str = "", root: bool = True) -> Iterator[Problem]:
        """`old` is None where there is nothing to compare with. Shapes must be right."""
        if value is None or id(schema) not in self._where:
            return
        rules = schema.get(RULES) or []
        if rules:
            data = _data(value, old, schema, root)
            for rule in rules:
                if self._left <= 0:
                    return
                self._left -= 1
                if self._left == 0:
                    yield invalid(path, schema.get("type", ""), OUT_OF_BUDGET, "Shorten the object.")
                    return
                yield from _run(rule, schema, data, old is None, path)
        yield from self._below(value, old, schema, path)

    def _below(self, value: Any, old: Any, schema: Schema, path: str) -> Iterator[Problem]:
        if isinstance(value, dict):
            known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
            before = old if isinstance(old, dict) else {}
            for name, child in value.items():
                below = known.get(name, rest)
                if isinstance(below, dict):
                    where = f"{path}.{name}" if path else name
                    if name not in known:
                        where = f"{path}[{name}]"
                    embedded = bool(below.get("x-kubernetes-embedded-resource"))
                    yield from self.problems(child, before.get(name), below, where, embedded)
        elif isinstance(value, list) and isinstance(schema.get("items"), dict):
            items = schema["items"]
            before_items = _correlated(value, old, schema)
            for index, child in enumerate(value):
                yield from self.problems(child, before_items[index], items, f"{path}[{index}]", False)


def ruled(schema: Schema) -> frozenset[int]:
    """The identities of the schemas in this one that have rules, themselves or below."""
    found: set[int] = set()
    _mark(schema, found)
    return frozenset(found)


def _mark(schema: Schema, found: set[int]) -> bool:
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    marks = [_mark(child, found) for child in below if isinstance(child, dict)]
    if any(marks) or schema.get(RULES):
        found.add(id(schema))
        return True
    return False


def _correlated(value: list[Any], old: Any, schema: Schema) -> list[Any]:
    """For each item the old item with the same keys; only a map-list's items can be told apart."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") != "map" or not keys or not isinstance(old, list):
        return [None] * len(value)

    def key(item: Any) -> str:
        return repr([item.get(name) for name in keys]) if isinstance(item, dict) else ""

    before = {key(item): item for item in old}
    return [before.get(key(item)) for item in value]


def _run(rule: Rule, schema: Schema, data: dict[str, Any], new: bool, path: str) -> Iterator[Problem]:
    if uses_old(rule) and new and not rule.get("optionalOldSelf"):
        return
    kind, shown = schema.get("type", ""), rule.get("message", "").strip() or rule["rule"].strip()
    program = compiled(_source(rule, schema))
    result, why = _evaluated(program, data)
    if why:
        yield invalid(path, kind, f"{why} evaluating rule: {shown}", "Look at what the rule asks for.")
    elif result is not True:
        yield _refused(rule, schema, data, f"{path}{rule.get('fieldPath', '')}")


def _refused(rule: Rule, schema: Schema, data: dict[str, Any], path: str) -> Problem:
    message = rule.get("message", "").strip() or f"failed rule: {rule['rule'].strip()}"
    if rule.get("messageExpression"):
        text, why = _evaluated(compiled(rule["messageExpression"]), data)
        if not why and isinstance(text, str) and text.strip() and "\n" not in text:
            message = text.strip()
    remedy = "A rule of this kind says so."
    match rule.get("reason"):
        case "FieldValueForbidden":
            return forbidden(path, message, remedy)
        case "FieldValueRequired":
            return required(path, message, remedy)
        case "FieldValueDuplicate":
            return duplicate(path, schema.get("type", ""), remedy)
        case _:
            return invalid(path, schema.get("type", ""), message, remedy)


def _evaluated(program: Any, data: dict[str, Any]) -> tuple[Any, str]:
    """The value of an expression, or why it has none, in cel-go's words where they are known."""
    if isinstance(program, str):
        return None, program
    try:
        found = program.eval(data=data)
        value = found.plain_value()
    except (RuntimeError, ValueError, OverflowError) as error:
        return None, _words(str(error))
    return (None, _words(str(value))) if found.type().name() == "ERROR" else (value, "")


def _words(text: str) -> str:
    text = text.rpartition(" [")[0] if text.endswith("]") else text
    _, sign, rest = text.partition(": ")
    text = rest if sign and text.split(":", 1)[0].isupper() else text
    if text.startswith("Key not found in map : "):
        return f"no such key: {text.rpartition(' : ')[2].strip(chr(34))}"
    if "No matching overloads" in text or "Applying SELECT" in text:
        return "no such overload"
    return text


def _data(value: Any, old: Any, schema: Schema, root: bool) -> dict[str, Any]:
    now, then = _shown(value, schema, root), None if old is None else _shown(old, schema, root)
    return {"self": now, "oldSelf": then, "before": [] if old is None else [then]}


def _shown(value: Any, schema: Schema, root: bool = False) -> Any:
    """A value as rules see it: fields under their escaped names, of a resource's metadata the names only."""
    if isinstance(value, list):
        items = schema.get("items")
        return [_shown(child, items) for child in value] if isinstance(items, dict) else value
    if not isinstance(value, dict):
        return value
    known, rest = schema.get("properties") or {}, schema.get("additionalProperties")
    made = {}
    for name, child in value.items():
        if root and name == "metadata" and isinstance(child, dict):
            made[name] = {field: child[field] for field in ("name", "generateName") if field in child}
        elif root and name in ("apiVersion", "kind"):
            made[name] = child
        elif name in known:
            made[escaped(name)] = _shown(child, known[name], bool(known[name].get("x-kubernetes-embedded-resource")))
        elif isinstance(rest, dict):
            made[name] = _shown(child, rest)
        elif not known and (rest is True or schema.get("x-kubernetes-preserve-unknown-fields")):
            made[name] = child
    return made


def escaped(name: str) -> str:
    """A field's name as an identifier of CEL (apiserver/pkg/cel/escaping.go)."""
    if name in RESERVED:
        return f"__{name}__"
    name = name.replace("__", "__underscores__")
    return name.replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")
