"""CoreDNS's own test tables and the specification's examples (tests/data/dns_cases.json).

Not taken, by suite:
  zonal          option `zonal` is younger than CoreDNS 1.12.1, which Kubernetes 1.34 ships
  external-zone  plugin k8s_external is not here
  hosts          plugin hosts is not here
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from labkit.dns.chain import Chain
from labkit.dns.corefile import Block, Forward, Kubernetes
from labkit.dns.index import Index
from labkit.net import dnsrecords as dns
from labkit.net import dnswire as wire
from labkit.net.dnsrecords import Record, Response, Soa, Srv

DATA = json.loads((Path(__file__).parents[2] / "data" / "dns_cases.json").read_text())
LEFT_OUT = {"zonal", "external-zone", "hosts"}
UPSTREAM = {"www.example.com.": "192.0.2.53"}
SUITES = [suite for suite in DATA["suites"] if suite["id"] not in LEFT_OUT]
CASES = [pytest.param(suite, case, id=case["id"]) for suite in SUITES for case in suite["cases"]]


def objects_of(fixture: dict[str, Any]) -> list[dict[str, Any]]:
    """The fixture's short form as Kubernetes objects; a slice of both families becomes two."""
    found = [{"kind": "Namespace", "metadata": {"name": name}} for name in fixture["namespaces"]]
    for short in fixture["objects"]:
        meta = {"name": short["name"], "namespace": short["namespace"]}
        if short["kind"] == "Service":
            ips = short["clusterIPs"]
            spec = {"ports": short["ports"], "clusterIPs": ips, "clusterIP": ips[0] if ips else ""}
            spec |= {key: short[key] for key in ("type", "externalName") if key in short}
            found.append({"kind": "Service", "metadata": meta, "spec": spec})
            if "not ready" in short.get("note", ""):
                endpoint = {"addresses": ["10.3.0.9"], "conditions": {"ready": False}}
                labels = {"kubernetes.io/service-name": short["name"]}
                found.append({"kind": "EndpointSlice", "metadata": {**meta, "labels": labels}, "endpoints": [endpoint]})
        elif short["kind"] == "Pod":
            found.append({"kind": "Pod", "metadata": meta, "status": {"podIP": short["podIP"]}})
        else:
            meta["labels"] = {"kubernetes.io/service-name": short["service"]}
            for family, mark in (("IPv4", "."), ("IPv6", ":")):
                endpoints = [
                    {"addresses": [e["address"]], **({"hostname": e["hostname"]} if "hostname" in e else {})}
                    for e in short["endpoints"]
                    if mark in e["address"]
                ]
                named = {**meta, "name": f"{meta['name']}-{family.lower()}"}
                slice_ = {"kind": "EndpointSlice", "metadata": named, "addressType": family}
                found.append({**slice_, "endpoints": endpoints, "ports": short["ports"]})
    return found


def chain_for(suite: dict[str, Any], case: dict[str, Any]) -> Chain:
    index = Index()
    for obj in objects_of(DATA["fixtures"][suite["fixture"]]):
        index.apply("ADDED", obj)
    config = suite["config"]
    plugin = Kubernetes(
        zones=(*config["zones"], "in-addr.arpa.", "ip6.arpa."),
        ttl=config["ttl"] or 5,
        pods=config["pods"],
        namespaces=tuple(config.get("expose_namespaces", ())),
        ignore_empty_service=config.get("ignore_empty_service", False),
    )

    async def ask(_forward: Forward, data: bytes, _tcp: bool) -> bytes:
        query = wire.decode(data)
        assert query is not None
        reply = case.get("upstream_reply")
        if reply:
            found = tuple(Record(r["name"], dns.TYPES[r["type"]], r["ttl"], r["data"]) for r in reply["answer"])
            return wire.encode(query, Response(answer=found, truncated=reply["truncated"]), 512)
        address = UPSTREAM[query.name]
        return wire.encode(query, Response(answer=(Record(query.name, dns.A, 60, address),)), 512)

    block = Block((".",), kubernetes=plugin, forward=(Forward(".", ("192.0.2.1",)),), loadbalance=True)
    return Chain((block,), index, tuple(config.get("server_ips", ())), ask)


def plain(record: Record) -> tuple[Any, ...]:
    data = record.data
    if isinstance(data, Srv):
        shown: Any = (data.port, data.target)
    elif isinstance(data, Soa):
        shown = data.mname
    else:
        shown = data
    return record.name, dns.TYPE_NAMES[record.type], shown


def wanted(record: dict[str, Any]) -> tuple[Any, ...]:
    shown = record.get("data", record.get("mname"))
    if record["type"] == "SRV":
        shown = (record["port"], record["target"])
    return record["name"], record["type"], shown


@pytest.mark.parametrize(("suite", "case"), CASES)
def test_case(suite: dict[str, Any], case: dict[str, Any]) -> None:
    chain = chain_for(suite, case)
    data = wire.question(7, case["qname"], dns.TYPES[case["qtype"]])
    query = wire.decode(data)
    assert query is not None
    found = chain.answer(query) or asyncio.run(chain.resolve(query, data, tcp=False))
    assert isinstance(found, Response)
    assert dns.RCODES[found.rcode] == case["rcode"]
    assert found.truncated == case.get("truncated", False)
    got, expected = {plain(r) for r in found.answer}, {wanted(r) for r in case["answer"]}
    if case.get("match") == "subset":
        assert expected <= got
    else:
        assert got == expected
        assert {plain(r) for r in found.additional} >= {wanted(r) for r in case["additional"]}
    if suite["id"] != "spec":
        assert {plain(r) for r in found.authority} == {wanted(r) for r in case["authority"]}
        check_numbers(found, case, ttls=suite["id"] != "namespaces")


def check_numbers(found: Response, case: dict[str, Any], ttls: bool) -> None:
    """TTLs, and SRV weights as CoreDNS gives them."""
    for section in ("answer", "authority", "additional"):
        by_key = {plain(record): record for record in getattr(found, section)}
        for expected in case[section]:
            record = by_key[wanted(expected)]
            if ttls:
                assert record.ttl == expected["ttl"]
            if isinstance(record.data, Srv):
                assert msgspec.to_builtins(record.data)["weight"] == expected["weight"]


def test_every_suite_is_either_run_or_named_above() -> None:
    assert {suite["id"] for suite in DATA["suites"]} > LEFT_OUT
    assert len(CASES) == 76
