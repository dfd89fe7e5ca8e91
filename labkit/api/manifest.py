"""Manifests as learners write them: `load(source)` gives the objects, or says all that is wrong with them, at once.

path, folder, URL, text ──► text ──► documents with line numbers ─┐
dict, list of dicts ──────────────────────────────────────────────┴─► check ──► [Document, …] or ManifestError
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from labkit.api import check, source, yamltext
from labkit.api.kinds import BY_KIND
from labkit.api.problem import Problem, duplicate, required, steps, wrong_type
from labkit.errors import ApiError, ManifestError

Source = str | Path | Mapping[str, Any] | Sequence[Mapping[str, Any]]
SHOWN = 10
REMEDIES = {
    "NotFound": "Create it first; it may stand in the same manifest.",
    "Conflict": "Leave metadata.resourceVersion out, or give the one that it has now.",
    "FieldManagerConflict": "Leave these fields out, or take them over with force_conflicts=True.",
}
MAX_PROBLEMS = 1000  # after so many the remaining documents are not looked at: a hostile file has millions


class Document(msgspec.Struct, frozen=True):
    """One object of a manifest. `index` counts its file's documents from 1, `line` is where it begins.

    The items of a `List` share their document's index. `line` is None for an object that came without text.
    """

    source: str
    index: int
    line: int | None
    object: dict[str, Any]
    node: yamltext.Node | None = None

    @property
    def title(self) -> str:
        """Kind and name, as far as they are known: "Service web"."""
        meta = self.object.get("metadata")
        name = meta.get("name") if isinstance(meta, dict) else None
        return " ".join(str(part)[:100] for part in (self.object.get("kind"), name) if part)

    def line_of(self, field: str) -> int | None:
        """The line on which a field begins, or the nearest field above it that the text has."""
        if self.node is None:
            return None
        node = self.node
        for step in steps(field):
            children = node.children
            if isinstance(children, Mapping) and step in children:
                node = children[step]
            elif not isinstance(children, Mapping) and step.isdecimal() and int(step) < len(children):
                node = children[int(step)]
            else:
                break
        return node.line

    def placed(self, problem: Problem) -> Problem:
        """The problem with file, document, object and line."""
        line = self.line_of(problem.field)
        return msgspec.structs.replace(problem, file=self.source, document=self.index, object=self.title, line=line)


def load(manifest: Source) -> list[Document]:
    """The objects of a manifest, in order, each checked against the schema and the API server's rules.

    `manifest`: a path, a folder, a URL (http, https, file), YAML or JSON text, a dict, or a list of dicts.
    Raises `ManifestError` with all problems of all documents in `details["problems"]`.
    """
    documents, problems = _documents(manifest)
    for document in documents:
        if len(problems) < MAX_PROBLEMS:
            problems += [document.placed(problem) for problem in _object_problems(document.object)]
    problems += _repeated(documents)
    if problems:
        raise _error(problems)
    return documents


def refused(documents: Sequence[Document], error: ApiError) -> ManifestError:
    """What the API server refused of these documents, with file, document and line; `error` is that of an apply."""
    problems = []
    for refusal in error.details["refused"]:
        document = documents[refusal["index"]]
        found = msgspec.convert(refusal["problems"], list[Problem])
        reason = refusal["status"]["reason"]
        causes = refusal["status"].get("details", {}).get("causes") or [{}]
        remedy = REMEDIES.get(causes[0].get("reason", reason)) or REMEDIES.get(reason, "")
        found = found or [Problem("", refusal["status"]["message"], remedy, reason)]
        problems += [document.placed(problem) for problem in found]
    return _error(problems)


def _documents(manifest: Source) -> tuple[list[Document], list[Problem]]:
    """All documents, and what kept the others from being read."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for name, index, item in _read_texts(manifest) if isinstance(manifest, str | Path) else _read_values(manifest):
        if isinstance(item, Problem):
            problems.append(msgspec.structs.replace(item, file=name))
            continue
        found, faults = _from_node(name, index, item)
        documents += found
        problems += faults
    if not documents and not problems:
        raise ManifestError("the manifest holds no objects: it is empty, or all of it is commented out.")
    return documents, problems


Item = tuple[str, int, yamltext.Node | Problem]


def _read_texts(manifest: str | Path) -> Iterator[Item]:
    for name, text in source.read(manifest):
        nodes, faults = yamltext.parse(text)
        yield from ((name, index, node) for index, node in enumerate(nodes, 1))
        yield from ((name, 0, fault) for fault in faults)


def _read_values(manifest: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Iterator[Item]:
    """Dicts from Python, through JSON and back: plain values of our own, whatever was given."""
    for index, item in enumerate([manifest] if isinstance(manifest, Mapping) else manifest, 1):
        try:
            yield "manifest", index, yamltext.Node(msgspec.json.decode(msgspec.json.encode(item)), 0)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            message = f"cannot be written as JSON: {error}"
            fault = Problem("", message, "Use plain dicts, lists, texts and numbers.", document=index)
            yield "manifest", index, fault


def _from_node(name: str, index: int, node: yamltext.Node) -> tuple[list[Document], list[Problem]]:
    """The document's objects: none if it is empty, several if it is a `List`."""
    value, from_text = node.value, node.line > 0
    if value is None:
        return [], []
    line = node.line if from_text else None
    if not isinstance(value, dict):
        remedy = "Write fields such as “kind: Service”: a name, a colon and a space, a value."
        problem = wrong_type("", value, "must be an object", remedy)
        return [], [msgspec.structs.replace(problem, file=name, document=index, line=line)]
    document = Document(name, index, line, value, node if from_text else None)
    kind, items = value.get("kind"), value.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or kind in BY_KIND:
        return [document], []
    if not isinstance(items, list):
        problem = required("items", remedy="A list holds its objects under items.")
        return [], [document.placed(problem)]
    documents, problems = [], []
    for child in _items(node, items):
        found, faults = _from_node(name, index, child)
        documents += found
        problems += faults
    return documents, problems


def _items(node: yamltext.Node, items: list[Any]) -> Sequence[yamltext.Node]:
    held = node.children["items"].children if isinstance(node.children, Mapping) else None
    return held if isinstance(held, list) else [yamltext.Node(item, 0) for item in items]


def _object_problems(obj: dict[str, Any]) -> Iterator[Problem]:
    meta = obj.get("metadata")
    if isinstance(meta, dict) and meta.get("generateName") and not meta.get("name"):
        remedy = "Give it a name: to apply an object again, the lab must know which one it is."
        yield required("metadata.name", "cannot use generate name with apply", remedy)
    yield from check.problems(obj)


def _repeated(documents: list[Document]) -> Iterator[Problem]:
    """The same kind, namespace and name twice in one load."""
    first: dict[tuple[str, str, str], Document] = {}
    for document in documents:
        kind, meta = document.object.get("kind"), document.object.get("metadata")
        if not isinstance(kind, str) or not isinstance(meta, dict):
            continue
        name, namespace = meta.get("name"), meta.get("namespace") or "default"
        if not isinstance(name, str) or not isinstance(namespace, str) or not name:
            continue
        scope = namespace if kind not in BY_KIND or BY_KIND[kind].namespaced else ""
        before = first.setdefault((kind, scope, name), document)
        if before is not document:
            where = f"{before.source}, document {before.index}" + (f", line {before.line}" if before.line else "")
            problem = duplicate(
                "metadata.name", name, f"{before.title} stands in {where} too: rename one, or remove it."
            )
            yield document.placed(problem)


def _error(problems: list[Problem]) -> ManifestError:
    count = len(problems)
    title = "1 problem in the manifest:" if count == 1 else f"{count} problems in the manifest:"
    lines = [title, *(f"  {problem}" for problem in problems[:SHOWN])]
    if count > SHOWN:
        lines.append(f"  … and {count - SHOWN} more")
    return ManifestError("\n".join(lines), problems=[msgspec.to_builtins(problem) for problem in problems])
