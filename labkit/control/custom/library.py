"""CEL for Kubernetes: the environment that rules are compiled in, loaded when the first rule is met.

What Kubernetes adds to CEL and rules in use need is here: URLs, `find` and `findAll`, sums and order of lists, sets, IP
addresses, quantities as a test. Left out, so that a rule with it is refused as it is defined: `format`, `semver`,
arithmetic of quantities, two-variable comprehensions.
Source: apiserver/pkg/cel/library, apiserver/pkg/cel/environment/base.go; cel-go's `ext` packages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from labkit.api.schema import QUANTITY
from labkit.control.custom import patterns


@cache
def environment() -> Any:
    """The environment, with `self` and `oldSelf` of any type, and `before`, the list of at most one old value."""
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

    anything = cel.Type.DYN
    extensions = [
        ext_strings.ExtStrings(),
        ext_math.ExtMath(),
        ext_optional.ExtOptional(),
        ext_encoders.ExtEncoders(),
        ext_bindings.ExtBindings(),
        cel.CelExtension("kubernetes", _functions(cel)),
    ]
    variables = {"self": anything, "oldSelf": anything, "before": cel.Type.List(anything)}
    return cel.NewEnv(variables=variables, extensions=extensions)


def _functions(cel: Any) -> list[Any]:
    kind = cel.Type
    text, flag, number, anything = kind.STRING, kind.BOOL, kind.INT, kind.DYN
    some = kind.List(anything)
    table: list[tuple[str, Any, list[Any], bool, Callable[..., Any]]] = [
        ("isURL", flag, [text], False, _is_url),
        ("url", anything, [text], False, _url),
        *((f"get{name}", text, [anything], True, _getter(name)) for name in URL_TEXTS),
        ("getQuery", anything, [anything], True, lambda url: parse_qs(url["Query"])),
        ("find", text, [text, text], True, lambda value, pattern: next(iter(_found(value, pattern)), "")),
        ("findAll", kind.List(text), [text, text], True, _found),
        ("findAll", kind.List(text), [text, text, number], True, lambda v, p, n: _found(v, p)[: n if n >= 0 else None]),
        ("sum", anything, [some], True, sum),
        ("min", anything, [some], True, min),
        ("max", anything, [some], True, max),
        ("isSorted", flag, [some], True, lambda items: all(a <= b for a, b in pairwise(items))),
        ("indexOf", number, [some, anything], True, lambda items, item: items.index(item) if item in items else -1),
        ("lastIndexOf", number, [some, anything], True, _last_index),
        ("sets.contains", flag, [some, some], False, lambda a, b: all(item in a for item in b)),
        ("sets.intersects", flag, [some, some], False, lambda a, b: any(item in a for item in b)),
        ("sets.equivalent", flag, [some, some], False, _equivalent),
        ("isIP", flag, [text], False, _is_ip),
        ("isCIDR", flag, [text], False, _is_cidr),
        ("ip.isCanonical", flag, [text], False, lambda value: str(ip_address(value)) == value),
        ("isQuantity", flag, [text], False, lambda value: QUANTITY.fullmatch(value) is not None),
    ]
    overloads: dict[str, list[Any]] = {}
    for number_, (name, result, parameters, member, run) in enumerate(table):
        made = cel.Overload(f"kubernetes_{number_}", result, parameters, member, run)
        overloads.setdefault(name, []).append(made)
    return [cel.FunctionDecl(name, made) for name, made in overloads.items()]


URL_TEXTS = ("EscapedPath", "Host", "Hostname", "Port", "Scheme")


def _parsed(value: str) -> SplitResult:
    """What Go's url.ParseRequestURI takes. Raises ValueError."""
    found = urlsplit(value)
    if not (value.startswith("/") or found.scheme) or any(sign <= " " for sign in value):
        raise ValueError(f"parse {value!r}: invalid URI for request")
    _ = found.port
    return found


def _is_url(value: str) -> bool:
    try:
        _parsed(value)
    except ValueError:
        return False
    return True


def _url(value: str) -> dict[str, str]:
    found = _parsed(value)
    port = "" if found.port is None else str(found.port)
    texts = dict(zip(URL_TEXTS, (found.path, found.netloc, found.hostname or "", port, found.scheme), strict=True))
    return {**texts, "Query": found.query}


def _getter(name: str) -> Callable[[dict[str, str]], str]:
    return lambda url: url[name]


def _found(value: str, pattern: str) -> list[str]:
    if why := patterns.fault(pattern):
        raise ValueError(f"error parsing regexp: {why}")
    return [match.group(0) for match in patterns.compiled(pattern).finditer(value)]


def _last_index(items: Sequence[Any], item: Any) -> int:
    return max((index for index, other in enumerate(items) if other == item), default=-1)


def _equivalent(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return all(item in other for item in one) and all(item in one for item in other)


def _is_ip(value: str) -> bool:
    try:
        return "%" not in str(ip_address(value))
    except ValueError:
        return False


def _is_cidr(value: str) -> bool:
    try:
        ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value
