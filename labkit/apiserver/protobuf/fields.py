"""What each protobuf message is made of: field numbers, and the names and types that the fields have in JSON.

The facts are in `fields.json.gz`, made by `reduce_fields` from Kubernetes' generated.proto files (Apache-2.0), and in
`registration`; they are loaded when the first protobuf body comes, in some milliseconds.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import msgspec

from labkit.apiserver.protobuf.message import Message
from labkit.apiserver.protobuf.registration import MESSAGES

FILE = Path(__file__).with_name("fields.json.gz")
OF_EVERY_GROUP = {"DeleteOptions", "Status"}


@cache
def messages() -> dict[str, Message]:
    """All messages by short name."""
    return {**msgspec.json.decode(gzip.decompress(FILE.read_bytes()), type=dict[str, Message]), **MESSAGES}


def message_of(api_version: str, kind: str) -> str:
    """The short name of a kind's message: "networking.v1.Ingress". Options are of no group, whatever they say."""
    group, _, version = api_version.rpartition("/")
    if kind in OF_EVERY_GROUP:
        return f"meta.v1.{kind}"
    return f"{group.partition('.')[0] or 'core'}.{version}.{kind}"
