"""What `start` is told of kube-proxy: a mode, a configuration, or both."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labkit.errors import LabError
from labkit.proxy.configuration import text
from labkit.proxy.configuration.defaults import completed, platform
from labkit.proxy.configuration.fields import GROUP_VERSION, KIND
from labkit.proxy.configuration.validation import validate

HIDDEN = ("/tmp", "/run", "/var/tmp", "/dev/shm")  # noqa: S108 - not used: a lab has its own in their place


def configuration(mode: str, config: Mapping[str, Any] | str | Path | None) -> dict[str, Any]:
    """KubeProxyConfiguration as plain values, with the mode; empty where nothing is asked for.

    config: values, a file's path, or its text. Warns, as kubeadm does, of fields that nobody knows: they are kept, and
    each kube-proxy logs them. Raises `LabError` for what kube-proxy would refuse.
    """
    if config is None:
        return {"mode": mode} if mode else {}
    if isinstance(config, Mapping):
        said: dict[str, Any] = {"apiVersion": GROUP_VERSION, "kind": KIND, **config}
        twice: list[str] = []
    else:
        said, twice = text.values(_content(config))
    made, unknown = text.convert(said)
    if twice or unknown:
        warnings.warn(f"proxy_config: {text.strict([*twice, *unknown])}", stacklevel=3)
    told = text.builtins(made, said)
    if mode and made.mode not in ("", mode):
        raise LabError(f"proxy_mode is {mode!r}, and proxy_config says {made.mode!r}: say one of them")
    told["mode"] = mode or made.mode
    complete, _ = text.convert(told)
    if faults := validate(platform(completed(complete)), [told["mode"]]):
        raise LabError(f"proxy_config: {'; '.join(faults)}")
    return told


def program(given: str | Path) -> str:
    """The path of a program that can be run in a lab; empty where none is given. Raises `LabError`."""
    if not given:
        return ""
    path = Path(given).absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise LabError(f"kube_proxy is {str(given)!r}: there is no program of this name. Give its whole path")
    if hidden := next((folder for folder in HIDDEN if path.is_relative_to(folder)), ""):
        raise LabError(f"kube_proxy is {str(given)!r}: a lab does not see {hidden}. Put the program elsewhere")
    return str(path)


def _content(given: str | Path) -> str:
    if isinstance(given, str) and "\n" in given:
        return given
    try:
        return Path(given).read_text()
    except OSError as error:
        raise LabError(f"proxy_config: cannot read {given}: {error.strerror}") from None
