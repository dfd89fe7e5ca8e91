"""The spellings that Kubernetes asks for: DNS names, label keys and values, port names, addresses.

Each function yields the complaints about one value, none if it is right. The expressions and sentences are those of
apimachinery/pkg/util/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import ip_address, ip_network

from labkit.api.problem import Problem, invalid

Check = Callable[[str], Iterator[str]]

REMEMBERED = 253  # characters of a name that is worth remembering; no name that is right has more

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_TEXT = "lower case alphanumeric characters or '-'"
_SEARCH = re.compile(r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*")


def _pattern(value: str, pattern: str, complaint: str, *examples: str, longest: int) -> Iterator[str]:
    if len(value) > longest:
        yield f"must be no more than {longest} bytes"
    elif not re.fullmatch(pattern, value):
        # Two blanks before "or", as Kubernetes prints it.
        listed = " or ".join(f"'{e}', " for e in examples)
        yield f"{complaint} (e.g. {listed}regex used for validation is '{pattern}')"


def dns_label(value: str) -> Iterator[str]:
    text = (
        f"a lowercase RFC 1123 label must consist of {_LABEL_TEXT}, "
        "and must start and end with an alphanumeric character"
    )
    yield from _pattern(value, _LABEL, text, "my-name", "123-abc", longest=63)


def dns_subdomain(value: str) -> Iterator[str]:
    text = (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
        "and must start and end with an alphanumeric character"
    )
    yield from _pattern(value, _SUBDOMAIN, text, "example.com", longest=253)


def wildcard_subdomain(value: str) -> Iterator[str]:
    text = (
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
        "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
    )
    yield from _pattern(value, rf"\*\.{_SUBDOMAIN}", text, "*.example.com", longest=253)


def domain_prefixed_path(value: str) -> Iterator[str]:
    """A domain, a slash, a path: example.com/controller."""
    domain, slash, path = value.partition("/")
    if not (domain and slash and path):
        yield 'must be a domain-prefixed path (such as "acme.io/foo")'
        return
    yield from dns_subdomain(domain)
    if not re.fullmatch(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", path):
        yield r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')"


def dns1035_label(value: str) -> Iterator[str]:
    text = (
        f"a DNS-1035 label must consist of {_LABEL_TEXT}, start with an alphabetic character, "
        "and end with an alphanumeric character"
    )
    yield from _pattern(value, _DNS1035, text, "my-name", "abc-123", longest=63)


def path_segment(value: str) -> Iterator[str]:
    """Names of RBAC objects: whatever fits into one segment of a URL's path."""
    if value in (".", ".."):
        yield f"may not be '{value}'"
    for sign in "/%":
        if sign in value:
            yield f"may not contain '{sign}'"


def qualified_name(value: str) -> Iterator[str]:
    """Keys of labels and annotations: an optional DNS prefix, a slash, a name of at most 63 characters."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        yield "a valid label key must consist of a DNS subdomain prefix (optional), a single '/' and a name"
        return
    if slash:
        if not prefix:
            yield "prefix part must be non-empty"
        yield from (f"prefix part {text}" for text in (dns_subdomain(prefix) if prefix else ()))
    if not name:
        yield "name part must be non-empty"
        return
    text = (
        "name part must consist of alphanumeric characters, '-', '_' or '.', "
        "and must start and end with an alphanumeric character"
    )
    yield from _pattern(name, _NAME, text, "MyName", "my.name", "123-abc", longest=63)


def annotation_key(value: str) -> Iterator[str]:
    yield from qualified_name(value.lower())


def label_value(value: str) -> Iterator[str]:
    text = (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
        "and must start and end with an alphanumeric character"
    )
    yield from _pattern(value, f"({_NAME})?", text, "MyValue", "my_value", "12345", longest=63)


def config_key(value: str) -> Iterator[str]:
    text = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    yield from _pattern(value, "[-._a-zA-Z0-9]+", text, "key.name", "KEY_NAME", "key-name", longest=253)
    if value.startswith(".."):
        yield "must not be '..'" if value == ".." else "must not start with '..'"
    elif value == ".":
        yield "must not be '.'"


def port_name(value: str) -> Iterator[str]:
    """IANA_SVC_NAME, RFC 6335 section 5.1 in lower case."""
    if len(value) > 15:
        yield "must be no more than 15 bytes"
    if not re.fullmatch("[-a-z0-9]+", value):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", value):
        yield "must contain at least one letter (a-z)"
    if "--" in value:
        yield "must not contain consecutive hyphens"
    if value.startswith("-") or value.endswith("-"):
        yield "must not begin or end with a hyphen"


def env_name(value: str) -> Iterator[str]:
    """Since v1.34 (KEP-4369) any printable ASCII but "="."""
    if not all(" " <= c <= "~" and c != "=" for c in value):
        yield "a valid environment variable name must consist only of printable ASCII characters other than '='"


def search_domain(value: str) -> Iterator[str]:
    """Since v1.33 (KEP-4427) with underscores, or a single dot."""
    if len(value) > 253:
        yield "must be no more than 253 bytes"
    elif value != "." and not _SEARCH.fullmatch(value.removesuffix(".")):
        yield (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
            "and must start and end with an alphanumeric character"
        )


def address(value: str) -> Iterator[str]:
    try:
        if "%" not in ip_address(value).compressed:  # Python takes an interface name behind it, Kubernetes does not
            return
    except ValueError:
        pass
    yield "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def endpoint_address(value: str) -> Iterator[str]:
    """An address that endpoints and externalIPs may hold: not unspecified, loopback or link-local."""
    complaints = list(address(value))
    if complaints:
        yield from complaints
        return
    ip = ip_address(value)
    if ip.is_unspecified:
        yield f"may not be unspecified ({value})"
    if ip.is_loopback:
        yield "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if ip.is_link_local:
        yield "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if ip in LINK_LOCAL_MULTICAST[ip.version]:
        yield "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"


LINK_LOCAL_MULTICAST = {4: ip_network("224.0.0.0/24"), 6: ip_network("ff02::/16")}


def cidr(value: str) -> Iterator[str]:
    try:
        ip_network(value, strict=False)
        if "/" in value:
            return
    except ValueError:
        pass
    yield "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def checked(field: str, value: str, check: Check, remedy: str = "") -> Iterator[Problem]:
    """The complaints of a check as problems of a field."""
    if not right(value, check):
        for complaint in check(value):
            yield invalid(field, value, complaint, remedy)


def right(value: str, check: Check) -> bool:
    """Whether a check has nothing to complain of. Names of objects are simple for the most part, and each is new."""
    if check in _TAKE_SIMPLE and _SIMPLE.fullmatch(value):
        return True
    return _right(check, value) if len(value) <= REMEMBERED else not any(check(value))


@lru_cache(maxsize=8192)
def _right(check: Check, value: str) -> bool:
    """The same few names come again and again: keys of labels, names of namespaces and ports."""
    return not any(check(value))


_SIMPLE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_TAKE_SIMPLE = frozenset({dns_label, dns_subdomain, qualified_name, annotation_key, label_value, config_key})
"""Checks to which such a name is right."""
