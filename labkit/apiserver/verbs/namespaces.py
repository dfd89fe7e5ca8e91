"""namespaces/finalize: the finalizers of a Namespace's spec, which hold it while it is emptied.

Source: kubernetes/pkg/registry/core/namespace/{strategy,storage/storage}.go.
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver import bodies, options
from labkit.apiserver.call import Call
from labkit.apiserver.http.messages import Answer
from labkit.apiserver.verbs import writing
from labkit.control import status

Raw = dict[str, Any]


def finalize(call: Call) -> Answer:
    """Raises BadRequest, Conflict, NotFound."""
    wanted = options.writing(call.request)
    raw = call.plane.admission.structured(writing.placed(call, bodies.object_of(call.request, call.resource)))
    old = call.store.get(*call.route.key)
    version = raw["metadata"].get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise status.conflict(call.resource, call.route.name)
    finalizers = (raw.get("spec") or {}).get("finalizers") or []

    def change(stored: Raw) -> None:
        stored["spec"] = {**stored.get("spec", {}), "finalizers": finalizers}

    return call.renderer.one(call.write(wanted.dry_run, lambda: call.store.update(*call.route.key, change)))
