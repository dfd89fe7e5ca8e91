"""What may be the status of a Service's load balancer."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.api.validation import status_problems


def problems(*ingress: dict[str, Any], kind: str = "LoadBalancer") -> list[tuple[str, str]]:
    raw = {"kind": "Service", "spec": {"type": kind}, "status": {"loadBalancer": {"ingress": list(ingress)}}}
    return [(problem.field.removeprefix("status.loadBalancer."), problem.message) for problem in status_problems(raw)]


def test_good() -> None:
    assert problems() == problems(kind="ClusterIP") == []
    addresses = [{"ip": "198.51.100.1", "ipMode": "VIP"}, {"ip": "2001:db8::1", "ipMode": "Proxy"}]
    assert problems(*addresses, {"hostname": "lb.example.com"}) == []
    assert status_problems({"kind": "Service", "spec": {"type": "ClusterIP"}}) == []
    assert status_problems({"kind": "Pod", "status": {"loadBalancer": {"ingress": [{}]}}}) == []


@pytest.mark.parametrize(
    ("ingress", "field", "message"),
    [
        ({"ip": "198.51.100.1"}, "ingress[0].ipMode", "Required value: must be specified when `ip` is set"),
        ({"ip": "1.2.3", "ipMode": "VIP"}, "ingress[0].ip", 'Invalid value: "1.2.3": must be a valid IP address, '),
        ({"ip": '1.2.3.4" -j ACCEPT', "ipMode": "VIP"}, "ingress[0].ip", "Invalid value: "),
        ({"ip": "1.2.3.4", "ipMode": "Dsr"}, "ingress[0].ipMode",
         'Unsupported value: "Dsr": supported values: "Proxy", "VIP"'),
        ({"hostname": "lb.example.com", "ipMode": "VIP"}, "ingress[0].ipMode",
         "Forbidden: may not be specified when `ip` is not set"),
        ({"hostname": "Not A Name"}, "ingress[0].hostname", "Invalid value: "),
        ({"hostname": "198.51.100.1"}, "ingress[0].hostname",
         'Invalid value: "198.51.100.1": must be a DNS name, not an IP address'),
    ],
)  # fmt: skip
def test_bad(ingress: dict[str, Any], field: str, message: str) -> None:
    ((found, said),) = problems(ingress)
    assert found == field and said.startswith(message)


def test_only_a_load_balancer_has_one() -> None:
    why = "Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
    assert problems({"hostname": "a"}, {"ip": "x"}, kind="NodePort") == [("ingress", why)]
