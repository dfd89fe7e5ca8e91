"""YAML text to JSON values that remember their lines.

    text ──► events (libyaml) ──► Node tree: value + line of every key and item
                  │
                  └── faults: syntax, repeated keys, keys that are not text, documents that blow up

Text comes from learners and from the network, so nothing in it may cost much or crash: the tree is built from parser
events here because PyYAML's own composer recurses in C and ends the process on deep nesting (`[[[[…`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import yaml

from labkit.api import scalars
from labkit.api.problem import Problem, shown

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: slower, the same result
MAX_DEPTH = 100
MAX_VALUES = 200_000  # with aliases expanded; a whole cluster's manifests have some thousands
CORE = "tag:yaml.org,2002:"
TEXT_TAGS = frozenset({"!", CORE + "str", CORE + "timestamp"})
TYPED_TAGS: dict[str, tuple[type, ...]] = {
    CORE + "int": (int,),
    CORE + "float": (int, float),
    CORE + "bool": (bool,),
    CORE + "null": (type(None),),
}
COLLECTION_TAGS = frozenset({None, "!", CORE + "map", CORE + "seq"})


class Node(msgspec.Struct, frozen=True):
    """A value with the line (from 1) on which its key or item begins, and the nodes below it.

    `size` counts the values in it, aliases expanded.
    """

    value: Any
    line: int
    children: Mapping[str, Node] | Sequence[Node] = ()
    size: int = 1


class _Stop(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


def parse(text: str) -> tuple[list[Node], list[Problem]]:
    """The documents of a text, empty ones included (value None), and what is wrong with it.

    A fault that leaves the rest unreadable ends the list; its problem comes last.
    """
    reader = _Reader(text)
    documents: list[Node] = []
    try:
        documents.extend(reader.documents())
    except _Stop as stop:
        reader.problems.append(stop.problem)
    except yaml.MarkedYAMLError as error:
        reader.problems.append(_syntax_problem(error, text, reader.document))
    except (yaml.reader.ReaderError, UnicodeEncodeError) as error:
        message = f"error converting YAML to JSON: {getattr(error, 'reason', error)}"
        reader.problems.append(Problem("", message, "Save the file as plain UTF-8 text.", document=reader.document))
    return documents, reader.problems


class _Reader:
    """Builds nodes from the events of one text."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
        self.problems: list[Problem] = []
        self.document = 1
        self.anchors: dict[str, Node | None] = {}  # None while the anchor's own value is being read
        self.values = 0

    def documents(self) -> Iterator[Node]:
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors.clear()
                yield self.node(next(self.events), 0)
            elif isinstance(event, yaml.DocumentEndEvent):
                self.document += 1

    def node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), line)
        self.count(1, line)
        if depth > MAX_DEPTH:
            raise self.stop(line, f"nested more than {MAX_DEPTH} levels deep", "No Kubernetes object needs that.")
        if event.anchor:
            self.anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self.scalar(event, line), line)
        else:
            if event.tag not in COLLECTION_TAGS:
                self.fault(line, f"unknown tag {event.tag[:100]}", "Remove the tag.")
            is_map = isinstance(event, yaml.MappingStartEvent)
            node = self.mapping(line, depth) if is_map else self.sequence(line, depth)
        if event.anchor:
            self.anchors[event.anchor] = node
        return node

    def alias(self, name: str, line: int) -> Node:
        if name not in self.anchors:
            raise self.stop(line, f"unknown anchor '{name[:100]}' referenced", f"Define it before: &{name[:100]}.")
        node = self.anchors[name]
        if node is None:
            raise self.stop(line, f"anchor '{name[:100]}' value contains itself", "Write the value out.")
        self.count(node.size, line)
        return node

    def mapping(self, line: int, depth: int) -> Node:
        children: dict[str, Node] = {}
        merged: list[Node] = []
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self.node(event, depth + 1)
            value = self.node(next(self.events), depth + 1)
            if key.value == "<<" and getattr(event, "implicit", ((),))[0]:
                merged.append(value)
            elif not isinstance(key.value, str):
                self.bad_key(event, key)
            elif key.value in children:
                before = children[key.value].line
                message = f"key {shown(key.value)} already set in map"
                self.fault(key.line, message, f"It stands on line {before} already: remove one of the two.")
            else:
                children[key.value] = Node(value.value, key.line, value.children, value.size)
        for source in merged:
            self.merge(children, source)
        size = 1 + sum(child.size for child in children.values())
        return Node({name: child.value for name, child in children.items()}, line, children, size)

    def merge(self, children: dict[str, Node], source: Node) -> None:
        """`<<: *base` adds the keys of `base` that are not there yet; of several bases the first wins."""
        for base in source.children if isinstance(source.value, list) else [source]:
            if not isinstance(base, Node) or not isinstance(base.children, dict):
                self.fault(source.line, "map merge requires map or sequence of maps as the value", "Merge an alias.")
                return
            for name, child in base.children.items():
                children.setdefault(name, child)

    def sequence(self, line: int, depth: int) -> Node:
        children = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            children.append(self.node(event, depth + 1))
        return Node([child.value for child in children], line, children, 1 + sum(child.size for child in children))

    def scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        text: str = event.value
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:  # half a code, which only libyaml refuses
                self.fault(line, str(error), "Write the character itself, not half of its code.")
                return ""
        if event.tag in TEXT_TAGS or (event.tag is None and not event.implicit[0]):
            return text
        try:
            value = scalars.resolve(text)
        except ValueError as error:
            self.fault(line, str(error), "Write a number, or put it in quotes.")
            return text
        if event.tag is not None and type(value) not in TYPED_TAGS.get(event.tag, ()):
            self.fault(line, f"cannot read {shown(text)} as {event.tag.removeprefix(CORE)[:100]}", "Remove the tag.")
        return value

    def bad_key(self, event: Any, key: Node) -> None:
        written = shown(key.value)
        remedy = "A key is plain text. A template such as {{ … }} must be filled in before."
        if isinstance(event, yaml.ScalarEvent):
            written = event.value[:100]
            remedy = f'Put it in quotes: "{written}".'
        self.fault(key.line, f"key {written} is not a string", remedy)

    def count(self, values: int, line: int) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            message = f"more than {MAX_VALUES} values, aliases expanded"
            raise self.stop(line, message, "Use fewer aliases, or split the file.")

    def fault(self, line: int, message: str, remedy: str) -> None:
        self.problems.append(Problem("", message, remedy, document=self.document, line=line))

    def stop(self, line: int, message: str, remedy: str) -> _Stop:
        return _Stop(Problem("", message, remedy, document=self.document, line=line))


NO_SPACE = re.compile(r"\s*(- )?([A-Za-z][\w./-]*):[^\s/]")
# What libyaml or PyYAML says, and what it mostly means.
REMEDIES = (
    ("mapping values are not allowed", "Check the indentation, and put a value that contains “: ” in quotes."),
    (
        "could not find expected ':'",
        "Every line of a mapping is “name: value”: put a colon and a space after the name.",
    ),
    ("expected <block end>", "Items that belong together must be indented alike: check this line and the one before."),
    ("did not find expected key", "Fields that belong together must be indented alike: check quotes and indentation."),
    ("did not find expected '-'", "Items of a list must be indented alike, and each begins with “- ”."),
    ("expected ',' or", "Close the bracket that was opened before."),
    ("cannot start any token", "Put the value in quotes."),
    ("unexpected end of stream", "Close the quote that was opened before."),
    ("escape character", "Use single quotes, or write the backslash twice."),
)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, document: int) -> Problem:
    mark = error.problem_mark or error.context_mark
    number = mark.line if mark is not None else 0
    lines = text.splitlines() or [""]
    number = min(number, len(lines) - 1)
    problem = error.problem or "it cannot be read"
    remedy = next((r for sign, r in REMEDIES if sign in problem), "Check this line and the one before.")
    near = lines[max(number - 1, 0) : number + 1]
    glued = next((m for m in map(NO_SPACE.match, near) if m), None)
    if lines[number][: len(lines[number]) - len(lines[number].lstrip())].count("\t"):
        remedy = "Indent with spaces: YAML does not allow tabs."
    elif any("{{" in line for line in near):
        remedy = "This looks like a template: fill it in (helm template) before you apply it."
    elif glued:
        remedy = f"Put a space after the colon of “{glued[2]}:”."
    message = f"error parsing YAML: {error.context + ': ' if error.context else ''}{problem}"
    return Problem("", message, remedy, document=document, line=number + 1)
