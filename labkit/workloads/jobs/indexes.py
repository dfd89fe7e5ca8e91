"""Completion indexes: sets of numbers, written as "0-3,5".

Source: kubernetes/pkg/controller/job/indexed_job_utils.go of v1.34.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

Raw = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation and label of a pod of an Indexed Job."""
NUMBER = re.compile(r"\d{1,10}", re.ASCII)
VARIABLE = "JOB_COMPLETION_INDEX"


def parse(text: str, below: int) -> set[int]:
    """The indexes that there are of those in a text; none for a text that names no indexes."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2 or not all(NUMBER.fullmatch(end) for end in ends):
            return set()
        found.update(range(int(ends[0]), min(int(ends[-1]) + 1, below)))
    return found


def written(numbers: Iterable[int]) -> str:
    """Two in a row are written apart from one only by a comma, three or more with a dash, as the real one does."""
    parts: list[str] = []
    for run in _runs(sorted(numbers)):
        first, last = run[0], run[-1]
        if first == last:
            parts.append(str(first))
        else:
            parts.append(f"{first},{last}" if last == first + 1 else f"{first}-{last}")
    return ",".join(parts)


def of(pod: Raw) -> int | None:
    """The pod's index; None where it has none."""
    text = pod["metadata"].get("annotations", {}).get(INDEX, "")
    return int(text) if text.isdecimal() else None


def indexed_pod(pod: Raw, job: Raw, index: int) -> Raw:
    """The pod with its index: in name, hostname, label, annotation, and in a variable of each container."""
    metadata, spec, name = pod["metadata"], pod["spec"], f"{job['metadata']['name']}-{index}"
    marks = {INDEX: str(index)}
    metadata = {
        **metadata,
        "generateName": f"{name}-",
        "labels": {**metadata.get("labels", {}), **marks},
        "annotations": {**metadata.get("annotations", {}), **marks},
    }
    spec = {**spec, "hostname": name}
    for field in ("containers", "initContainers"):
        if field in spec:
            spec[field] = [_with_variable(container) for container in spec[field]]
    return {**pod, "metadata": metadata, "spec": spec}


def _with_variable(container: Raw) -> Raw:
    present: Sequence[Raw] = container.get("env", ())
    if any(each["name"] == VARIABLE for each in present):
        return container
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*present, {"name": VARIABLE, "valueFrom": field}]}


def _runs(numbers: Sequence[int]) -> list[list[int]]:
    """Numbers in order, cut where one is missing."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs
