"""Make `descriptions.json`: of the API's published descriptions, those that columns of tables bear.

The input is that of `labkit.api.reduce_schema`. Install its package, then:

    python -m labkit.apiserver.tables.reduce_descriptions
"""

from __future__ import annotations

import msgspec

from labkit.api.reduce_schema import Schema, read_definitions
from labkit.apiserver.tables.columns import FILE
from labkit.apiserver.tables.table import CREATED, printers

PREFIXES = ("io.k8s.api.", "io.k8s.apimachinery.pkg.apis.")


def description(definitions: dict[str, Schema], field: str) -> str:
    """The description of "core.v1.PodStatus.podIP". Raises KeyError where there is no such field."""
    name, _, prop = field.rpartition(".")
    found = next(definitions[prefix + name] for prefix in PREFIXES if prefix + name in definitions)
    return str(found["properties"][prop]["description"])


def main() -> None:
    definitions = read_definitions()
    columns = [*CREATED, *(column for printer in printers().values() for column in printer.columns)]
    fields = sorted({column.of for column in columns if column.of})
    found = {field: description(definitions, field) for field in fields}
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))


if __name__ == "__main__":
    main()
