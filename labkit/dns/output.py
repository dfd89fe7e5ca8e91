"""What CoreDNS writes to its standard output: `kubectl logs` shows it. Pure.

Source: coremain/run.go (showVersion), core/dnsserver/onstartup.go, plugin/reload/reload.go, plugin/log/README.md and
plugin/pkg/replacer of CoreDNS 1.12; the digest of a configuration is that of the Corefile's text here.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence

from labkit.dns.corefile import Block
from labkit.net import dnsrecords as dns
from labkit.net import dnswire as wire

VERSION = "1.12.1"
PORT = 53
FLAGS = (("qr", 15), ("aa", 10), ("tc", 9), ("rd", 8), ("ra", 7), ("z", 6), ("ad", 5), ("cd", 4))
"""Of a message's second 16 bits, by their place from the right (RFC 1035, 4.1.1)."""
TCP_SIZE = 65535
ENDING = "[INFO] SIGTERM: Shutting down servers then terminating\n"


def started(blocks: Sequence[Block], corefile: str) -> str:
    zones = [f"{zone if zone.endswith('.') else f'{zone}.'}:{PORT}\n" for block in blocks for zone in block.zones]
    return f"{''.join(zones)}{_running(blocks, corefile)}CoreDNS-{VERSION}\nlinux/{platform.machine()}, labkit\n"


def reloaded(blocks: Sequence[Block], corefile: str) -> str:
    return f"[INFO] Reloading\n{_running(blocks, corefile)}[INFO] Reloading complete\n"


def not_reloaded(why: str) -> str:
    return f"[ERROR] plugin/reload: Corefile changed but reload failed: {why}\n"


def query(
    asked: wire.Query, client: tuple[str, int], octets: int, answer: bytes, code: int, tcp: bool, seconds: float
) -> str:
    """The line of the plugin log; `octets` of the query."""
    host = f"[{client[0]}]" if ":" in client[0] else client[0]
    name = asked.name if asked.name.endswith(".") else f"{asked.name}."
    kind = dns.TYPE_NAMES.get(asked.type, f"TYPE{asked.type}")
    protocol, size = ("tcp", TCP_SIZE) if tcp else ("udp", asked.size)
    question = f"{kind} IN {name} {protocol} {octets} {str(asked.dnssec).lower()} {size}"
    bits = int.from_bytes(answer[2:4])
    flags = ",".join(flag for flag, place in FLAGS if bits >> place & 1)
    rcode = dns.RCODES.get(code, str(code))
    return f'[INFO] {host}:{client[1]} - {asked.id} "{question}" {rcode} {flags} {len(answer)} {seconds:.9f}s\n'


def _running(blocks: Sequence[Block], corefile: str) -> str:
    if not any(block.reload for block in blocks):
        return ""
    digest = hashlib.sha512(corefile.encode()).hexdigest()
    return f"[INFO] plugin/reload: Running configuration SHA512 = {digest}\n"
