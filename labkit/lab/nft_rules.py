"""What in kube-proxy's nftables table serves one Service: elements of its maps, and chains that they lead to. Pure."""

from __future__ import annotations

from collections.abc import Iterator

Row = dict[str, object]
TABLE = "kube-proxy"
_ORDER = ("external-", "service-", "local-", "firewall-", "endpoint-")


def serving(listing: str, service: str) -> list[Row]:
    """Rows TABLE, CHAIN, NUMBER, RULE of "namespace/name", from `nft list table ip kube-proxy`.

    The elements first, with their map as CHAIN and NUMBER 0; then the chains' rules, counted from 1.
    """
    own = f"-{service}/"  # in the name of each chain of the Service
    rows: list[Row] = []
    chains: dict[str, list[str]] = {}
    for kind, name, lines in _blocks(listing):
        if kind == "map":
            wanted = (e for e in _elements(lines) if own in e or f'"{service}:' in e or f'"{service}"' in e)
            rows += [_row(name, 0, element) for element in wanted]
        elif kind == "chain" and own in name:
            chains[name] = lines
    for name in sorted(chains, key=_place):
        rows += [_row(name, number, rule) for number, rule in enumerate(chains[name], 1)]
    return rows


def _place(chain: str) -> tuple[int, str]:
    """By kind, then by what it stands for: the kernel lists chains in the order in which they were made."""
    return next(i for i, prefix in enumerate(_ORDER) if chain.startswith(prefix)), chain.partition("-")[2].partition(
        "-"
    )[2]


def _blocks(listing: str) -> Iterator[tuple[str, str, list[str]]]:
    """Kind, name, and the lines in the block."""
    kind, name = "", ""
    lines: list[str] = []
    for line in listing.splitlines():
        if line.startswith("\t") and line.endswith(" {") and not line.startswith("\t\t"):
            kind, name, _ = line.split()
            lines = []
        elif line == "\t}":
            yield kind, name, lines
            lines = []
        else:
            lines.append(line.strip())


def _elements(lines: list[str]) -> list[str]:
    text = " ".join(lines)
    _, found, listed = text.partition("elements = { ")
    return listed.removesuffix(" }").split(", ") if found else []


def _row(chain: str, number: int, text: str) -> Row:
    return {"TABLE": TABLE, "CHAIN": chain, "NUMBER": number, "RULE": text}
