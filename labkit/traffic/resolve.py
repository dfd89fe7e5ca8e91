"""Names to addresses as a program in a place would find them: /etc/hosts, then DNS by the place's resolv.conf.

    web ──hosts──> no ──candidates──> web.shop.svc.cluster.local., web.svc.cluster.local., …, web.
                                             └── one after the other until one has addresses

Source: glibc's resolver (resolv/res_query.c __res_context_search, res_send.c; man 5 resolv.conf). AAAA is asked for as
well where the place has an IPv6 address of its own, as getaddrinfo with AI_ADDRCONFIG does (curl uses it).
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from pathlib import Path

import msgspec

from labkit.linux import httpclient, netns
from labkit.net import dnsrecords as dns
from labkit.net import dnswire
from labkit.net.dnsrecords import NOERROR, NXDOMAIN
from labkit.net.place import Place

UNREACHABLE, TIMEOUT = -1, -2  # beside DNS's own codes: no server there; no answer in time
_MAX_NAMESERVERS = 3
_FINAL = {NOERROR, NXDOMAIN}


class Config(msgspec.Struct, frozen=True):
    """A resolv.conf. `timeout` in seconds, of the first attempt: it doubles with each further one."""

    nameservers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: int = 5
    attempts: int = 2
    use_tcp: bool = False


class Query(msgspec.Struct, frozen=True):
    """A question that was put to a server, and what came of it: `code` is DNS's own, or UNREACHABLE, TIMEOUT."""

    name: str
    kind: str
    server: str
    code: int
    addresses: tuple[str, ...]
    ms: float


class Lookup(msgspec.Struct, frozen=True):
    """What became of a name: its addresses, or the error; `queries` in the order in which they were asked."""

    name: str
    addresses: tuple[str, ...] = ()
    error: str = ""
    queries: tuple[Query, ...] = ()


def parse(text: str) -> Config:
    """A resolv.conf's meaning, with glibc's limits (ndots 15, timeout 30, attempts 5, three name servers)."""
    nameservers: list[str] = []
    search: tuple[str, ...] = ()
    options: dict[str, int] = {}
    for line in text.splitlines():
        match line.split("#")[0].split(";")[0].split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search" | "domain", *domains]:
                search = tuple(domain.rstrip(".") for domain in domains)
            case ["options", *words]:
                for word in words:
                    name, _, number = word.partition(":")
                    options[name] = int(number) if number.isdigit() else 1
    return Config(
        tuple(nameservers[:_MAX_NAMESERVERS]) or Config().nameservers,
        search,
        min(options.get("ndots", 1), 15),
        max(1, min(options.get("timeout", 5), 30)),
        max(1, min(options.get("attempts", 2), 5)),
        "use-vc" in options,
    )


def candidates(name: str, config: Config) -> list[str]:
    """The absolute names that are tried, in order: with `ndots` dots or more the name itself comes first, else last."""
    if name.endswith("."):
        return [name]
    itself = [f"{name}."]
    searched = [f"{name}.{domain}." if domain else f"{name}." for domain in config.search]
    return itself + searched if name.count(".") >= config.ndots else searched + itself


def in_hosts(name: str, text: str) -> tuple[str, ...]:
    """The address of a name in the text of an /etc/hosts: the first line that has it."""
    wanted = name.rstrip(".").lower()
    for line in text.splitlines():
        address, *names = line.split("#")[0].split() or [""]
        if wanted in (n.lower() for n in names):
            return (address,)
    return ()


async def resolve(place: Place, name: str) -> Lookup:
    """The addresses of a name, IPv4 first, as seen from a place. A failure is a `Lookup` with an `error`."""
    if is_address(name):
        return Lookup(name, (name,))
    hosts = place.hosts or _text("/etc/hosts")
    versions = ("A", "AAAA") if any(":" in address for address in place.addresses) else ("A",)
    found = in_hosts(name, hosts)
    if found and (":" not in found[0] or "AAAA" in versions):
        return Lookup(name, found)
    config = parse(place.resolv_conf or _text("/etc/resolv.conf"))
    queries: list[Query] = []
    failure = "NXDOMAIN"
    failed = NXDOMAIN
    for candidate in candidates(name, config):
        asked = await asyncio.gather(*(_ask(place, config, candidate, kind) for kind in versions))
        queries += [query for group in asked for query in group]
        last = [group[-1] for group in asked]
        if addresses := tuple(address for query in last for address in query.addresses):
            return Lookup(name, addresses, queries=tuple(queries))
        code = next((q.code for q in last if q.code not in _FINAL), last[0].code)
        if code in (UNREACHABLE, TIMEOUT):
            return Lookup(name, error=_failure(last[0], config), queries=tuple(queries))
        # a name without addresses says more than one that is not there, a failing server more than both
        if code != NXDOMAIN and failed in _FINAL:
            failed = code
            failure = _failure(last[0], config)
    return Lookup(name, error=failure, queries=tuple(queries))


def is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False


async def _ask(place: Place, config: Config, name: str, kind: str) -> list[Query]:
    """One question, put to the servers in turn until one gives an answer that settles it (res_send.c)."""
    queries: list[Query] = []
    for attempt in range(config.attempts):
        for server in config.nameservers:
            seconds = config.timeout << attempt
            if attempt:
                seconds = max(1, seconds // len(config.nameservers))
            start = time.monotonic()
            try:
                async with asyncio.timeout(seconds):
                    code, addresses = await _put(place, config, server, name, kind)
            except TimeoutError:
                code, addresses = TIMEOUT, ()
            except OSError:
                code, addresses = UNREACHABLE, ()
            ms = (time.monotonic() - start) * 1000
            queries.append(Query(name, kind, server, code, addresses, ms))
            if code in _FINAL:
                return queries
    return queries


async def _put(place: Place, config: Config, server: str, name: str, kind: str) -> tuple[int, tuple[str, ...]]:
    """Ask one server: by UDP, and by TCP where the answer was cut off. An answer that is not ours is not taken."""
    wanted = dns.TYPES[kind]
    query = dnswire.question(secrets.randbelow(1 << 16), name, wanted)
    loop = asyncio.get_running_loop()
    answer = None
    if not config.use_tcp:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with netns.socket_in(place.netns, family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
            sock.connect((server, 53))
            await loop.sock_sendall(sock, query)
            while answer is None:
                answer = dnswire.answer_to(query, await loop.sock_recv(sock, 65535))
    if answer is None or answer.truncated:
        with await httpclient.connect(place.netns, server, 53) as sock:
            await loop.sock_sendall(sock, len(query).to_bytes(2, "big") + query)
            answer = dnswire.answer_to(query, await _exactly(sock, int.from_bytes(await _exactly(sock, 2), "big")))
        if answer is None:
            raise ConnectionError("what the name server sent is no answer to the question")
    addresses = (record.data for record in answer.answer if record.type == wanted)
    return answer.rcode, tuple(str(address) for address in addresses)


async def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await asyncio.get_running_loop().sock_recv(sock, size - len(data))
        if not more:
            raise ConnectionError("the name server closed the connection")
        data += more
    return data


def _failure(query: Query, config: Config) -> str:
    servers = ", ".join(config.nameservers)
    if query.code == TIMEOUT:
        return f"no answer from name server {servers} ({config.attempts} attempts of {config.timeout} s and more)"
    if query.code == UNREACHABLE:
        return f"name server {servers} cannot be reached"
    if query.code == NOERROR:
        return f"{query.name} exists but has no address"
    code = dns.RCODES.get(query.code, str(query.code))
    return f"name server {query.server} answered {code} for {query.name}"


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
