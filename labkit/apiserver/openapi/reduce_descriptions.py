"""Make `descriptions.json.gz`: the API's published descriptions, of every definition that is in `schema.json.gz`.

The input is that of `labkit.api.reduce_schema`. Install its package, then:

    python -m labkit.apiserver.openapi.reduce_descriptions
"""

from __future__ import annotations

import gzip

import msgspec

from labkit.api import schema
from labkit.api.reduce_schema import read_definitions
from labkit.apiserver.openapi.definitions import DESCRIPTIONS, Described


def main() -> None:
    published = read_definitions()
    found = {}
    for name in (reference.removeprefix(schema.PREFIX) for reference in schema.definitions()):
        whole = published[name]
        fields = {
            key: field["description"] for key, field in whole.get("properties", {}).items() if "description" in field
        }
        found[name] = Described(whole.get("description", ""), fields)
    DESCRIPTIONS.write_bytes(gzip.compress(msgspec.json.encode(found), 9, mtime=0))


if __name__ == "__main__":
    main()
