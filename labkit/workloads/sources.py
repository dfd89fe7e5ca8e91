"""What the kubelets know of the objects that pods refer to: ConfigMaps, Secrets, claims, Services.

Control tells every change before it tells of the pods that may need it; so what is not here does not exist.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Raw = Mapping[str, Any]
Kind = Literal["ConfigMap", "Secret", "PersistentVolumeClaim", "Service"]

KINDS: tuple[Kind, ...] = ("ConfigMap", "Secret", "PersistentVolumeClaim", "Service")


class Sources:
    """The objects, by kind, namespace and name."""

    def __init__(self, objects: Iterable[Raw] = ()) -> None:
        self._objects: dict[tuple[str, str], dict[str, Raw]] = {}
        self._news: asyncio.Event | None = None
        for each in objects:
            self.take("ADDED", each)

    def take(self, change: str, raw: Raw) -> None:
        """A change of an object: ADDED, MODIFIED or DELETED."""
        metadata = raw["metadata"]
        found = self._objects.setdefault((raw["kind"], metadata["namespace"]), {})
        if change == "DELETED":
            found.pop(metadata["name"], None)
        else:
            found[metadata["name"]] = raw
        if self._news:
            self._news.set()
            self._news = None

    async def changed(self) -> None:
        """Wait for the next change of any of them."""
        self._news = self._news or asyncio.Event()
        await self._news.wait()

    def find(self, kind: Kind, namespace: str, name: str) -> Raw | None:
        return self._objects.get((kind, namespace), {}).get(name)

    def services(self, namespace: str) -> Iterable[Raw]:
        return self._objects.get(("Service", namespace), {}).values()


def texts(source: Raw) -> dict[str, bytes]:
    """The keys of a ConfigMap or a Secret with their values."""
    if source["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in (source.get("data") or {}).items()}
    plain = {key: value.encode() for key, value in (source.get("data") or {}).items()}
    return plain | {key: base64.b64decode(value) for key, value in (source.get("binaryData") or {}).items()}
