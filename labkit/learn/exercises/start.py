"""Exercises of the first notebook."""

from __future__ import annotations

from typing import Any

from labkit.learn.exercise import Exercise


def _from_elsewhere(hits: Any) -> bool | str:
    """`hits` are the requests that the learner's URL gave."""
    row = hits.iloc[0]
    if row.error:
        return f"The request failed: {row.error}."
    if not row.pod.startswith("web-"):
        return f"It was answered, but by {row.pod or 'something that is no pod'}, not by a pod of web."
    return True


EXERCISES = (
    Exercise(
        "start/url-from-elsewhere",
        "Write the URL under which a pod in another namespace reaches the Service web.",
        (
            "Look at the search line in the client's /etc/resolv.conf: which part of the name did the client not type?",
            "A Service's full name is SERVICE.NAMESPACE.svc.cluster.local; the last part is searched for everywhere.",
            "The Service web lives in the namespace default.",
        ),
        _from_elsewhere,
    ),
)
