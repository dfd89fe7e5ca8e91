"""Sets of addresses that netfilter rules refer to, in the words of `ipset`."""

from __future__ import annotations

from typing import Literal

import msgspec

from labkit.net.rules import Family

_SIZES = {"hashsize": "hash_size", "maxelem": "most"}
Kind = Literal["hash:ip", "hash:ip,port", "hash:ip,port,ip", "hash:ip,port,net", "bitmap:port"]


class Element(msgspec.Struct, frozen=True, order=True):
    """One entry; what its set's kind has no use for stays empty.

    second  a further address, or a prefix with its length
    """

    ip: str = ""
    protocol: str = ""
    port: int = 0
    second: str = ""

    def __str__(self) -> str:
        """`10.96.0.1,tcp:443`, `10.244.1.5,tcp:80,10.244.1.5`, `30080`."""
        port = f"{self.protocol}:{self.port}" if self.protocol else str(self.port or "")
        # ipset leaves out the length of a prefix that is a single address.
        second = self.second.removesuffix("/128" if ":" in self.second else "/32")
        return ",".join(filter(None, (self.ip, port, second)))


class AddressSet(msgspec.Struct, frozen=True):
    """A set; `comment` is what the rules that use it say of it."""

    name: str
    kind: Kind
    family: Family = "IPv4"
    comment: str = ""
    elements: frozenset[Element] = frozenset()
    hash_size: int = 1024
    most: int = 65536

    def __str__(self) -> str:
        """As `ipset save -sorted` prints it, without the sizes that the kernel chooses by itself."""
        lines = [self.created, *(f"add {self.name} {element}" for element in sorted(self.elements))]
        return "".join(f"{line}\n" for line in lines)

    @property
    def created(self) -> str:
        """The line that makes it."""
        if self.kind == "bitmap:port":
            return f"create {self.name} {self.kind} range 0-65535"
        family = "inet6" if self.family == "IPv6" else "inet"
        return f"create {self.name} {self.kind} family {family} hashsize {self.hash_size} maxelem {self.most}"


def parse(saved: str) -> list[AddressSet]:
    """What `ipset save` printed, in its order; what the sets are for is not in there.

    Raises `ValueError` for a line that it does not print.
    """
    found: dict[str, AddressSet] = {}
    elements: dict[str, set[Element]] = {}
    for line in filter(None, saved.splitlines()):
        match line.split():
            case ["create", name, kind, *options]:
                settings = dict(zip(options[::2], options[1::2], strict=True))
                family: Family = "IPv6" if settings.get("family") == "inet6" else "IPv4"
                sizes = {key: int(settings[word]) for word, key in _SIZES.items() if word in settings}
                found[name] = msgspec.convert({"name": name, "kind": kind, "family": family, **sizes}, AddressSet)
                elements[name] = set()
            case ["add", name, text, *_] if name in found:
                elements[name].add(_element(text))
            case _:
                raise ValueError(f"ipset does not print {line!r}")
    return [msgspec.structs.replace(one, elements=frozenset(elements[name])) for name, one in found.items()]


def _element(text: str) -> Element:
    if text.isdecimal():
        return Element(port=int(text))
    ip, port, second, *_ = (*text.split(","), "", "")
    protocol, _, number = port.partition(":")
    return Element(ip, protocol, int(number or 0), second)
