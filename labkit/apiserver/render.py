"""Objects as the bytes of an answer, in the form that the client asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from labkit.api.resources import Resource
from labkit.apiserver import negotiate
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.negotiate import Form
from labkit.apiserver.tables.table import partial, partial_list, table
from labkit.control.store import Store

Raw = dict[str, Any]
encode = msgspec.json.Encoder().encode


class Renderer:
    """Writes objects of one resource in one form.

    shown    makes of a stored object one of the version that is asked for
    include  what rows of a table hold: Object, Metadata or None
    columns  the additionalPrinterColumns of a custom resource
    """

    def __init__(
        self,
        store: Store,
        resource: Resource,
        shown: Callable[[Raw], Raw],
        form: Form,
        include: str = "",
        columns: Sequence[Raw] | None = None,
    ) -> None:
        self._store = store
        self._resource = resource
        self._shown = shown
        self.form = form
        self._include: Any = include or "Metadata"
        self._columns = columns
        self._headed = False

    def one(self, raw: Raw, status: int = 200, warnings: Sequence[str] = ()) -> Answer:
        body = self._text(raw) if self.form == "object" else encode(self._value([raw], {}, single=True))
        return Answer(body + b"\n", status, negotiate.content_type(self.form, False), warnings=tuple(warnings))

    def many(self, objects: Sequence[Raw], metadata: Raw) -> Answer:
        """A list with this metadata."""
        kind = negotiate.content_type(self.form, True)
        if self.form != "object":
            return Answer(encode(self._value(objects, metadata, single=False)) + b"\n", kind=kind)
        head = {"kind": self._resource.list_kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        items = b",".join([self._text(raw) for raw in objects])
        return Answer(b'%b,"items":[%b]}\n' % (encode(head)[:-1], items), kind=kind)

    def event(self, change: str, raw: Raw) -> bytes:
        """One line of a watch."""
        if self.form == "object":
            return b'{"type":"%b","object":%b}\n' % (change.encode(), self._text(raw))
        return encode({"type": change, "object": self._value([raw], {}, single=True)}) + b"\n"

    def bookmark(self, version: int, end_of_initial: bool) -> bytes:
        """A line that says how far the watch has come."""
        metadata: Raw = {"resourceVersion": str(version), "creationTimestamp": None}
        if end_of_initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        raw = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        if self.form == "metadata":
            raw |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return encode({"type": "BOOKMARK", "object": raw}) + b"\n"

    def _text(self, raw: Raw) -> bytes:
        shown = self._shown(raw)
        return self._store.encoded(raw) if shown is raw else encode(shown)

    def _value(self, objects: Sequence[Raw], metadata: Raw, single: bool) -> Raw:
        """Objects as a table, or as their metadata."""
        shown = [self._shown(raw) for raw in objects]
        if self.form == "metadata":
            return partial(shown[0]) if single else partial_list(shown, metadata)
        if single:
            metadata = {"resourceVersion": shown[0]["metadata"].get("resourceVersion", "")}
        headers, self._headed = not self._headed, True
        now = self._store.now().timestamp()
        return table(self._resource, shown, now, self._include, self._columns, metadata, headers)
