"""A configuration file's text, read and written.

    YAML or JSON ── the strict decoder's complaints ── KubeProxyConfiguration

kube-proxy logs what its strict decoder complains of and goes on without those fields, as long as the file is v1alpha1
(cmd/kube-proxy/app/options.go, loadConfig); what cannot be decoded at all is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import msgspec

from labkit.api import yamltext
from labkit.errors import LabError
from labkit.proxy import klog
from labkit.proxy.configuration.duration import Duration, parse
from labkit.proxy.configuration.fields import GROUP_VERSION, KIND, Ebpf, KubeProxyConfiguration

GROUP = GROUP_VERSION.partition("/")[0]
_GO = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
TWICE = "already set in map"
_OMITTED = ("featureGates", "windowsRunAsService")  # omitempty in Go


class ConfigError(LabError):
    """A configuration of kube-proxy that cannot be used. `details["problems"]`: one text for each fault."""


def read(text: str) -> tuple[KubeProxyConfiguration, list[str]]:
    """The configuration, and what a strict decoder says against the text. Raises `ConfigError`."""
    value, twice = values(text)
    config, unknown = convert(value)
    return config, [*twice, *unknown]


def values(text: str) -> tuple[dict[str, Any], list[str]]:
    """The text as plain values, and what is in it twice. Raises `ConfigError`."""
    documents, problems = yamltext.parse(text)
    twice = [f"line {p.line}: {p.message}" for p in problems if TWICE in p.message]
    fatal = [str(p) for p in problems if TWICE not in p.message]
    if fatal or not documents:
        raise _undecodable(fatal[0] if fatal else "the file is empty")
    value = documents[0].value
    if not isinstance(value, dict):
        raise _undecodable(f"json: cannot unmarshal {_word(value)} into Go value of type struct")
    _of_our_kind(value)
    return value, twice


def convert(value: Mapping[str, Any]) -> tuple[KubeProxyConfiguration, list[str]]:
    """A configuration from plain values; fields that nobody knows are left out and named. Raises `ConfigError`."""
    unknown = [f'unknown field "{name}"' for name in _unknown(value, KubeProxyConfiguration, "")]
    try:
        made = msgspec.convert(_without_nulls(value), KubeProxyConfiguration, dec_hook=_decode, strict=True)
    except msgspec.ValidationError as error:
        raise _undecodable(_in_go(str(error), value)) from None
    return made, unknown


def strict(complaints: list[str]) -> str:
    """The strict decoder's error."""
    return f"strict decoding error: {', '.join(complaints)}"


def lenient(complaints: list[str]) -> tuple[str, str, str, dict[str, Any]]:
    """What kube-proxy logs of them: level, place, message, facts."""
    return klog.INFO, "options.go:541", "Using lenient decoding as strict decoding failed", {"err": strict(complaints)}


def builtins(config: KubeProxyConfiguration, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As plain values in the order of their names, as Go's encoder writes them.

    said: what the configuration was converted from; the fields of it that nobody knows are kept, at the end
    """
    made: dict[str, Any] = msgspec.to_builtins(config, enc_hook=str, order="sorted")
    for name in _OMITTED:
        if not made[name]:
            del made[name]
    if config.ebpf == Ebpf():
        del made["ebpf"]
    logging, client = made["logging"], made["clientConnection"]
    for part, names in (
        (logging, ("format", "vmodule")),
        *((o, ("splitStream",)) for o in logging["options"].values()),
    ):
        for name in names:
            if not part[name]:
                del part[name]
    client["qps"] = int(client["qps"]) if client["qps"] == int(client["qps"]) else client["qps"]
    if said:
        _keep_unknown(made, said, KubeProxyConfiguration)
    return made


def written(config: KubeProxyConfiguration, said: Mapping[str, Any] | None = None) -> str:
    """As YAML, as `--write-config-to` writes it; `said` as in `builtins`."""
    import yaml

    return str(yaml.safe_dump(builtins(config, said), default_flow_style=False, sort_keys=True))


def _keep_unknown(made: dict[str, Any], said: Mapping[str, Any], kind: type) -> None:
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    for name, below in said.items():
        if name not in fields:
            made[str(name)] = below
        elif isinstance(below, Mapping) and isinstance(made.get(name), dict) and _is_struct(fields[name]):
            _keep_unknown(made[name], below, fields[name])


def _of_our_kind(value: Mapping[str, Any]) -> None:
    version, kind = value.get("apiVersion", ""), value.get("kind", "")
    if not kind:
        raise _undecodable("Object 'Kind' is missing")
    if not version:
        raise _undecodable("Object 'apiVersion' is missing")
    if version != GROUP_VERSION:
        raise _undecodable(f'no kind "{kind}" is registered for version "{version}" in kube-proxy\'s scheme')
    if kind != KIND:
        raise _undecodable(f'no kind "{kind}" is registered for version "{GROUP_VERSION}" in kube-proxy\'s scheme')


def _decode(_: type, value: Any) -> Duration:
    """The only type of a field that msgspec does not know itself."""
    if not isinstance(value, str):
        raise ValueError(f"json: cannot unmarshal {_word(value)} into Go value of type string")
    return parse(value)


def _without_nulls(value: Any) -> Any:
    """To Go's decoder null is nothing said."""
    if isinstance(value, Mapping):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value


def _unknown(value: Any, kind: type, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        return
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    for name, below in value.items():
        at = f"{path}.{name}" if path else str(name)
        if name not in fields:
            yield at
        elif _is_struct(wanted := fields[name]):
            yield from _unknown(below, wanted, at)
        elif isinstance(below, list):
            inner = next((t for t in get_args(wanted) if _is_struct(t)), None)
            for index, each in enumerate(below if inner else ()):
                yield from _unknown(each, inner or kind, f"{at}[{index}]")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _in_go(message: str, value: Any) -> str:
    """Go's words for a value of a wrong type, from msgspec's."""
    said, _, place = message.partition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    for step in filter(None, path.replace("[...]", "").split(".")):
        value = value.get(step) if isinstance(value, Mapping) else value
    expected = said.partition("Expected `")[2].partition("`")[0].partition(" | ")[0]
    go = {"int": "int32", "str": "string", "float": "float32", "array": "[]string", "object": "struct"}
    if not expected:
        return said
    return (
        f"json: cannot unmarshal {_word(value)} into Go struct field {KIND}.{path} of type {go.get(expected, expected)}"
    )


def _word(value: Any) -> str:
    return "null" if value is None else _GO.get(type(value), type(value).__name__)


def _undecodable(why: str) -> ConfigError:
    message = f"failed to decode: {why}"
    return ConfigError(message, problems=[message])
