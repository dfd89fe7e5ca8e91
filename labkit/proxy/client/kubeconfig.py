"""A kubeconfig: where the API server is, how to know it, and as whom to come. Source: client-go/tools/clientcmd."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from labkit.errors import LabError

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


class KubeconfigError(LabError):
    """A kubeconfig that leads to no API server."""


class Access(msgspec.Struct, frozen=True):
    """The way to an API server. `token`: as it is; `token_file`: read anew for each request, as it is renewed there."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    token: str = ""
    token_file: str = ""

    def bearer(self) -> str:
        """The token to show; empty where there is none. Raises `OSError` where its file cannot be read."""
        return Path(self.token_file).read_text().strip() if self.token_file else self.token


def load(path: str, master: str = "") -> Access:
    """What the kubeconfig at a path says; without one, what a pod's ServiceAccount does. `master`: another URL.

    Raises `KubeconfigError`.
    """
    if not path and not master:
        return _in_cluster()
    config = _read(path) if path else {}
    context = _named(config, "contexts", "context", config.get("current-context", ""))
    cluster = _named(config, "clusters", "cluster", context.get("cluster", ""))
    user = _named(config, "users", "user", context.get("user", ""))
    server = master or cluster.get("server", "")
    if not server:
        raise KubeconfigError(
            "invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER"
        )
    url = urlsplit(server if "://" in server else f"http://{server}")
    tls = _tls(cluster, user, Path(path).parent) if url.scheme == "https" else None
    port = url.port or (443 if tls else 80)
    token_file = str(Path(path).parent / user["tokenFile"]) if user.get("tokenFile") else ""
    return Access(url.hostname or "", port, tls, user.get("token", ""), token_file)


def _read(path: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise KubeconfigError(f"stat {path}: {(error.strerror or '').lower()}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"error loading config file {path!r}: {error}") from None
    if not isinstance(found, dict):
        raise KubeconfigError(f"error loading config file {path!r}: it is no object")
    return found


def _named(config: dict[str, Any], many: str, one: str, name: str) -> dict[str, Any]:
    """An entry of a list of named ones; empty where it is not there."""
    listed = config.get(many) or []
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and each.get("name") == name and isinstance(each.get(one), dict):
            found: dict[str, Any] = each[one]
            return found
    return {}


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    try:
        authority = _data(cluster, "certificate-authority", folder)
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        certificate, key = _data(user, "client-certificate", folder), _data(user, "client-key", folder)
        if certificate:
            with tempfile.NamedTemporaryFile() as file:  # ssl reads files only
                Path(file.name).write_bytes(certificate + b"\n" + key)
                tls.load_cert_chain(file.name)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise KubeconfigError(f"invalid configuration: {error}") from None
    return tls


def _data(part: dict[str, Any], name: str, folder: Path) -> bytes:
    """A field's content, given as it is or by a file."""
    if inline := part.get(f"{name}-data"):
        try:
            return base64.b64decode(inline, validate=True)
        except binascii.Error as error:
            raise ValueError(f"{name}-data: {error}") from None
    return (folder / part[name]).read_bytes() if part.get(name) else b""


def _in_cluster() -> Access:
    host, port = os.environ.get(HOST, ""), os.environ.get(PORT, "")
    if not host or not port:
        said = f"unable to load in-cluster configuration, {HOST} and {PORT} must be defined"
        raise KubeconfigError(said)
    tls = _tls({"certificate-authority": str(IN_CLUSTER / "ca.crt")}, {}, Path("/"))
    return Access(host, int(port), tls, token_file=str(IN_CLUSTER / "token"))
