"""The history of a StatefulSet or DaemonSet: a ControllerRevision for each template that it has had.

Source: kubernetes/pkg/controller/history/controller_history.go; getPatch in pkg/controller/{statefulset,daemon}.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from labkit.control.store import Raw, Store
from labkit.workloads.ownership import claim, key, reference
from labkit.workloads.templates import template_hash

REVISION_LABEL = "controller-revision-hash"


class History:
    """Revisions of owners of one kind; `label` is what they carry their hash as."""

    def __init__(self, store: Store, label: str) -> None:
        self._store = store
        self._label = label

    def revisions(self, owner: Raw) -> list[Raw]:
        """All that there are, the oldest first."""
        return sorted(claim(self._store, owner, "ControllerRevision", owner["spec"]["selector"]), key=_number)

    def current(self, owner: Raw) -> Raw:
        """The revision of the owner's template as it is now, with the highest number: made, or moved up."""
        known = self.revisions(owner)
        data = snapshot(owner)
        same = next((each for each in reversed(known) if each["data"] == data), None)
        number = _number(known[-1]) + 1 if known else 1
        if same is None:
            return self._store.create(self._new(owner, data, number))
        if same is known[-1]:
            return same
        namespace, name = key(same).split("/")
        return self._store.update("ControllerRevision", namespace, name, lambda raw: raw.update(revision=number))

    def hash(self, revision: Raw) -> str:
        digest: str = revision["metadata"]["labels"][self._label]
        return digest

    def truncate(self, owner: Raw, used: Collection[str]) -> None:
        """Forget the oldest of the unused beyond `revisionHistoryLimit`; `used` holds names."""
        unused = [each for each in self.revisions(owner) if each["metadata"]["name"] not in used]
        for each in _surplus(unused, owner["spec"].get("revisionHistoryLimit", 10)):
            self._store.delete("ControllerRevision", *key(each).split("/"))

    def _new(self, owner: Raw, data: Raw, number: int) -> Raw:
        digest = template_hash(data["spec"]["template"])
        metadata: dict[str, Any] = {
            "name": f"{owner['metadata']['name']}-{digest}",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**owner["spec"]["template"].get("metadata", {}).get("labels", {}), self._label: digest},
            "ownerReferences": [reference(owner)],
        }
        if annotations := owner["metadata"].get("annotations"):
            metadata["annotations"] = annotations
        return {
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "data": data,
            "revision": number,
        }  # fmt: skip


def snapshot(owner: Raw) -> Raw:
    """What a revision keeps: a strategic merge patch that puts the template back."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def template_of(revision: Raw) -> Raw:
    return {name: value for name, value in revision["data"]["spec"]["template"].items() if name != "$patch"}


def _number(revision: Raw) -> int:
    return int(revision["revision"])


def _surplus(unused: Sequence[Raw], limit: int) -> Sequence[Raw]:
    return unused[: max(0, len(unused) - limit)]
