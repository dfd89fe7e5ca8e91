"""The volumes of a pod, and where its containers mount them (pkg/apis/core/validation, ValidateVolumes)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.api import quantity
from labkit.api.problem import Problem, forbidden, invalid, not_found, required, unsupported
from labkit.api.validation import storage, syntax

MODE = "must be a number between 0 and 0777 (octal), both inclusive"
HOST_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
SHORTEST_TOKEN = 600
MOST_SOURCES = "may not specify more than 1 volume type"

Fields = dict[str, Any]


def volumes(spec: Fields, path: str) -> Iterator[Problem]:
    for index, item in enumerate(spec.get("volumes") or []):
        where = f"{path}.volumes[{index}]"
        if item.get("name") is not None:
            yield from syntax.checked(f"{where}.name", item["name"], syntax.dns_label)
        sources = [name for name, value in item.items() if name != "name" and value is not None]
        for extra in sources[1:]:
            yield forbidden(f"{where}.{extra}", MOST_SOURCES, f"Keep one of {', '.join(sources)}.")
        if sources:
            yield from _source(sources[0], item[sources[0]], f"{where}.{sources[0]}")


def mounts(container: Fields, path: str, known: set[Any]) -> Iterator[Problem]:
    """What a container mounts: volumes of its pod, each at a place of its own."""
    taken: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or []):
        where, place, sub = f"{path}[{index}]", mount.get("mountPath"), mount.get("subPath") or ""
        if mount.get("name") is not None and mount["name"] not in known:
            yield not_found(f"{where}.name", mount["name"], "Add a volume of this name to the pod.")
        if place == "":
            yield required(f"{where}.mountPath")
        elif place is not None:
            if place in taken:
                yield invalid(f"{where}.mountPath", place, "must be unique", "Choose another place.")
            taken.add(place)
        if sub:
            yield from _descending(sub, f"{path}.subPath")
            if mount.get("subPathExpr"):
                why = "subPathExpr and subPath are mutually exclusive"
                yield invalid(f"{where}.subPathExpr", mount["subPathExpr"], why, "Keep one of the two.")


def _source(kind: str, source: Fields, path: str) -> Iterator[Problem]:
    match kind:
        case "configMap":
            yield from _named(source, "name", path)
            yield from _files(source, path)
        case "secret":
            yield from _named(source, "secretName", path)
            yield from _files(source, path)
        case "downwardAPI":
            yield from _mode(source, "defaultMode", path)
            for index, item in enumerate(source.get("items") or []):
                yield from _downward(item, f"{path}.items[{index}]")
        case "projected":
            yield from _projected(source, path)
        case "hostPath":
            yield from _host_path(source, path)
        case "emptyDir":
            size = source.get("sizeLimit")
            if size is not None and quantity.value(size) < 0:
                yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")
        case "persistentVolumeClaim":
            if source.get("claimName") == "":
                yield required(f"{path}.claimName")
        case "ephemeral":
            template = source.get("volumeClaimTemplate")
            if template is None:
                yield required(f"{path}.volumeClaimTemplate")
            elif template.get("spec") is not None:
                yield from storage.claim_spec(template["spec"], f"{path}.volumeClaimTemplate.spec")


def _named(source: Fields, field: str, path: str) -> Iterator[Problem]:
    if not source.get(field):
        yield required(f"{path}.{field}")


def _mode(item: Fields, field: str, path: str) -> Iterator[Problem]:
    mode = item.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(f"{path}.{field}", mode, MODE, "Write it in octal with a leading zero, such as 0644.")


def _files(source: Fields, path: str) -> Iterator[Problem]:
    yield from _mode(source, "defaultMode", path)
    for index, item in enumerate(source.get("items") or []):
        where = f"{path}.items[{index}]"
        for field in ("key", "path"):
            if item.get(field) == "":
                yield required(f"{where}.{field}")
        if item.get("path"):
            yield from _local(item["path"], f"{where}.path")
        yield from _mode(item, "mode", where)


def _local(text: str, path: str) -> Iterator[Problem]:
    yield from _descending(text, path)
    if text.startswith("..") and not text.startswith("../"):
        yield invalid(path, text, "must not start with '..'", "Choose another name.")


def _descending(text: str, path: str) -> Iterator[Problem]:
    if text.startswith("/"):
        yield invalid(path, text, "must be a relative path", "Remove the leading slash.")
    if ".." in text.split("/"):
        yield invalid(path, text, "must not contain '..'", "Write the path plainly.")


def _downward(item: Fields, path: str) -> Iterator[Problem]:
    if item.get("path") == "":
        yield required(f"{path}.path")
    elif item.get("path"):
        yield from _local(item["path"], f"{path}.path")
    sources = [name for name in ("fieldRef", "resourceFieldRef") if item.get(name) is not None]
    if len(sources) == 2:
        why = "fieldRef and resourceFieldRef can not be specified simultaneously"
        yield invalid(f"{path}", "resource", why, "Keep one of the two.")
    elif not sources:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from _mode(item, "mode", path)


def _projected(source: Fields, path: str) -> Iterator[Problem]:
    yield from _mode(source, "defaultMode", path)
    for index, item in enumerate(source.get("sources") or []):
        where = f"{path}.sources[{index}]"
        kinds = [name for name, value in item.items() if value is not None]
        for extra in kinds[1:]:
            yield forbidden(f"{where}.{extra}", MOST_SOURCES, f"Keep one of {', '.join(kinds)}.")
        for name in ("configMap", "secret"):
            if item.get(name) is not None:
                yield from _named(item[name], "name", f"{where}.{name}")
                yield from _files(item[name], f"{where}.{name}")
        token = item.get("serviceAccountToken")
        if token is not None and (token.get("expirationSeconds") or SHORTEST_TOKEN) < SHORTEST_TOKEN:
            why = "may not specify a duration less than 10 minutes"
            yield invalid(
                f"{where}.serviceAccountToken.expirationSeconds", token["expirationSeconds"], why, "Write 600."
            )
        if token is not None and token.get("path") == "":
            yield required(f"{where}.serviceAccountToken.path")


def _host_path(source: Fields, path: str) -> Iterator[Problem]:
    if source.get("path") == "":
        yield required(f"{path}.path")
    elif ".." in (source.get("path") or "").split("/"):
        yield invalid(f"{path}.path", source["path"], "must not contain '..'", "Write the path plainly.")
    if source.get("type") is not None and source["type"] not in HOST_TYPES:
        yield unsupported(f"{path}.type", source["type"], HOST_TYPES)
