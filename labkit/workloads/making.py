"""How controllers make and delete pods, saying so in Events of the owner.

Source: RealPodControl in kubernetes/pkg/controller/controller_utils.go of v1.34.
"""

from __future__ import annotations

from collections.abc import Callable

from labkit.control.recorder import Recorder
from labkit.control.store import Raw, Store, key_of
from labkit.errors import ApiError

Create = Callable[[Raw], Raw]
"""Stores a new object, after admission."""


class PodControl:
    """Pods in the name of one controller (`component` in its Events)."""

    def __init__(self, store: Store, create: Create, component: str) -> None:
        self.recorder = Recorder(store, component)
        self._store = store
        self._create = create

    def create(self, owner: Raw, pod: Raw) -> Raw:
        """A new pod. Raises `ApiError` where it is refused, having said so."""
        try:
            made = self._create(pod)
        except ApiError as error:
            self.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return made

    def delete(self, owner: Raw, pod: Raw) -> None:
        """Begin to delete a pod that is there."""
        self._store.delete(*key_of(pod))
        self.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")
