"""JSON pointers: a place in a document (RFC 6901, with the server's negative indices).

Source: gopkg.in/evanphx/json-patch.v4, patch.go (findObject, partialArray).
"""

from __future__ import annotations

from typing import Any


class NoPlace(Exception):
    """There is nothing at this place, or nothing can be put there."""


def steps(path: Any) -> list[str]:
    """The parts of a pointer; none for the document itself. Raises `NoPlace`."""
    if path == "":
        return []
    if type(path) is not str or not path.startswith("/"):
        raise NoPlace
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def get(document: Any, parts: list[str]) -> Any:
    """What is at a place. Raises `NoPlace`."""
    for part in parts:
        if type(document) is dict:
            if part not in document:
                raise NoPlace
            document = document[part]
        elif type(document) is list:
            document = document[_index(part, len(document))]
        else:
            raise NoPlace
    return document


def peek(document: Any, parts: list[str]) -> Any:
    """What is at a place; None where a map has no such field. Raises `NoPlace` where there is no such map or list."""
    if not parts:
        return document
    parent = get(document, parts[:-1])
    return parent.get(parts[-1]) if type(parent) is dict else get(parent, parts[-1:])


def add(document: Any, parts: list[str], value: Any) -> None:
    """Set a field, or insert into a list ("-": at its end)."""
    *parents, last = parts
    parent = get(document, parents)
    if type(parent) is dict:
        parent[last] = value
    elif type(parent) is list:
        size = len(parent)
        parent.insert(size if last == "-" else _index(last, size + 1), value)
    else:
        raise NoPlace


def replace(document: Any, parts: list[str], value: Any) -> None:
    """Set a field, which need not be there, or an item, which must."""
    parent = get(document, parts[:-1])
    if type(parent) not in (dict, list):
        raise NoPlace
    parent[parts[-1] if type(parent) is dict else _index(parts[-1], len(parent))] = value


def remove(document: Any, parts: list[str]) -> Any:
    """Take out what is at a place, and return it."""
    value = get(document, parts)
    parent = get(document, parts[:-1])
    del parent[parts[-1] if type(parent) is dict else _index(parts[-1], len(parent))]
    return value


def _index(part: str, size: int) -> int:
    digits = part.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 9:
        raise NoPlace
    index = int(part)
    index = index + size if index < 0 else index
    if not 0 <= index < size:
        raise NoPlace
    return index
