"""Terms in one sentence each, with the page of the Kubernetes documentation that says more."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path

import msgspec

from labkit.errors import NotFound
from labkit.learn.curriculum import nearest

DOCS = "https://kubernetes.io/docs/"


class Term(msgspec.Struct, frozen=True):
    """`page` is the path below DOCS."""

    name: str
    definition: str
    page: str

    @property
    def link(self) -> str:
        return DOCS + self.page


class Glossary:
    """Some terms as a notebook shows them: each with its link."""

    def __init__(self, terms: tuple[Term, ...]) -> None:
        self.terms = terms

    def __repr__(self) -> str:
        return "\n".join(f"{term.name}: {term.definition} {term.link}" for term in self.terms)

    def _repr_html_(self) -> str:
        items = (
            f'<dt><a href="{escape(term.link)}">{escape(term.name)}</a></dt><dd>{escape(term.definition)}</dd>'
            for term in self.terms
        )
        return f"<dl>{''.join(items)}</dl>"


@cache
def all_terms() -> tuple[Term, ...]:
    """Every term, sorted by name."""
    return msgspec.json.decode(Path(__file__).with_name("glossary.json").read_bytes(), type=tuple[Term, ...])


def glossary(*names: str) -> Glossary:
    """The terms with these names, in any case of letters; all of them where none is given.

    Raises `NotFound`, with the nearest term, for a name that is not in the glossary.
    """
    known = {term.name.casefold(): term for term in all_terms()}
    for name in names:
        if name.casefold() not in known:
            raise NotFound(f"the glossary has no {name!r}{nearest(name.casefold(), known)}", term=name)
    return Glossary(tuple(known[name.casefold()] for name in names) or all_terms())
