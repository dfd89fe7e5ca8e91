"""Where a manifest's text comes from: a file, a folder, a URL, or the text itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from labkit.errors import ManifestError

MAX_BYTES = 5 * 1024 * 1024
TIMEOUT = 10.0  # seconds, for the whole of a download
SUFFIXES = (".yaml", ".yml", ".json")
SCHEMES = ("http", "https", "file")


class Text(NamedTuple):
    """A text with the name that messages give it."""

    name: str
    text: str


def read(source: str | Path) -> list[Text]:
    """The texts behind a path, a folder (its .yaml, .yml and .json files, by name), a URL, or YAML text.

    Raises `ManifestError` where there is no such thing, it cannot be had, or it has more than 5 MB.
    """
    if isinstance(source, Path):
        return _read_path(source)
    scheme, sign, _ = source.partition("://")
    if sign and scheme.lower() in SCHEMES:
        return [Text(source, _decoded(_download(source), source))]
    if _is_text(source):
        return [Text("manifest", _limited(source, "manifest"))]
    return _read_path(Path(source))


def _is_text(source: str) -> bool:
    """YAML has several lines, a `name: value`, or JSON's brackets; a path has none of these, or ends like a file."""
    if "\n" in source or source.lstrip()[:1] in ("", "{", "["):
        return True
    return not source.rstrip().endswith(SUFFIXES) and (": " in source or source.rstrip().endswith(":"))


def _read_path(path: Path) -> list[Text]:
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
            if not files:
                raise ManifestError(f"the folder {path} holds no .yaml, .yml or .json file", source=str(path))
            return [text for file in files for text in _read_path(file)]
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        remedy = "Check the spelling, or pass the YAML itself: text of several lines is taken as YAML."
        message = f"there is no file {_shown(path)} (looked in {Path.cwd()}). {remedy}"
        raise ManifestError(message, source=str(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ManifestError(f"cannot read {_shown(path)}: {reason}", source=str(path)) from None
    return [Text(str(path), _decoded(data, str(path)))]


def _shown(path: Path) -> str:
    text = ascii(str(path))
    return text if len(text) <= 200 else f"{text[:200]}…"


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise ManifestError(f"{name} has more than {MAX_BYTES // 2**20} MB: no manifest has. Split it.", source=name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8 text (byte {error.start}). Is it a manifest? Save it as UTF-8."
        raise ManifestError(message, source=name) from None


def _limited(text: str, name: str) -> str:
    return _decoded(text.encode("utf-8", "surrogatepass"), name)


def _download(url: str) -> bytes:
    from http.client import HTTPException  # costs 30 ms, and few manifests come from the network
    from urllib.error import HTTPError
    from urllib.request import urlopen

    deadline = time.monotonic() + TIMEOUT
    data = b""
    try:
        with urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310  the caller checked the scheme
            while len(data) <= MAX_BYTES and (chunk := response.read1(65536)):
                data += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not finished after {TIMEOUT:.0f} s")
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(error, HTTPError):
            error.close()
        message = f"cannot get {url[:200]}: {reason}. Check the address, or download the file and pass its path."
        raise ManifestError(message, source=url) from None
    if data.lstrip()[:1] == b"<":
        message = f"{url[:200]} is a web page, not a manifest. Take the address of the raw file."
        raise ManifestError(message, source=url)
    return data
