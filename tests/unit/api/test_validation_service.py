from __future__ import annotations

from typing import Any

import pytest

from labkit.api import validation
from labkit.api.defaults import default
from labkit.api.problem import Problem


def problems(**spec: Any) -> list[Problem]:
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    return validation.problems(default(obj))


def port(**fields: Any) -> dict[str, Any]:
    return {"port": 80, **fields}


@pytest.mark.parametrize(
    "spec",
    [
        {"ports": [port()]},
        {"ports": [port(name="http"), port(name="https", port=443, targetPort="https")]},
        {"clusterIP": "None"},
        {"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20"], "ports": [port()]},
        {"type": "ExternalName", "externalName": "example.com."},
        {"type": "NodePort", "externalTrafficPolicy": "Local", "ports": [port(nodePort=30080)]},
        {"type": "NodePort", "ports": [port(name="a", nodePort=30080),
                                       port(name="b", protocol="UDP", nodePort=30080)]},
        {"type": "LoadBalancer", "loadBalancerSourceRanges": ["203.0.113.0/24"], "ports": [port()]},
        {"ports": [port()], "externalIPs": ["203.0.113.9"], "externalTrafficPolicy": "Local"},
        {"ports": [port()], "sessionAffinity": "ClientIP"},
        {"ports": [port(appProtocol="kubernetes.io/h2c")], "trafficDistribution": "PreferClose"},
    ],
)  # fmt: skip
def test_good(spec: dict[str, Any]) -> None:
    assert problems(**spec) == []


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({}, "spec.ports", "Required value"),
        ({"ports": [port(port=70000)]}, "spec.ports[0].port",
         "Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ({"ports": [port(port=0)]}, "spec.ports[0].port", "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"ports": [port(protocol="SCTPP")]}, "spec.ports[0].protocol",
         'Unsupported value: "SCTPP": supported values: "SCTP", "TCP", "UDP"'),
        ({"ports": [port(name="Http")]}, "spec.ports[0].name",
         'Invalid value: "Http": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '
         "'-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
         "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"),
        ({"ports": [port(name="http"), port(name="http", port=81)]}, "spec.ports[1].name", 'Duplicate value: "http"'),
        ({"ports": [port(), port(name="b", port=81)]}, "spec.ports[0].name", "Required value"),
        ({"ports": [port(targetPort="web_port")]}, "spec.ports[0].targetPort",
         'Invalid value: "web_port": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)'),
        ({"ports": [port(targetPort="8080")]}, "spec.ports[0].targetPort",
         'Invalid value: "8080": must contain at least one letter (a-z)'),
        ({"ports": [port(targetPort="a--b")]}, "spec.ports[0].targetPort",
         'Invalid value: "a--b": must not contain consecutive hyphens'),
        ({"ports": [port(targetPort="-a")]}, "spec.ports[0].targetPort",
         'Invalid value: "-a": must not begin or end with a hyphen'),
        ({"ports": [port(targetPort="a" * 16)]}, "spec.ports[0].targetPort",
         f'Invalid value: "{"a" * 16}": must be no more than 15 bytes'),
        ({"ports": [port(targetPort=70000)]}, "spec.ports[0].targetPort",
         "Invalid value: 70000: must be between 1 and 65535, inclusive"),
        ({"ports": [port(nodePort=30080)]}, "spec.ports[0].nodePort",
         "Forbidden: may not be used when `type` is 'ClusterIP'"),
        ({"type": "NodePort", "ports": [port(name="a", nodePort=30080), port(name="b", port=81, nodePort=30080)]},
         "spec.ports[1].nodePort", "Duplicate value: 30080"),
        ({"type": "Nodeport", "ports": [port()]}, "spec.type",
         'Unsupported value: "Nodeport": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
        ({"type": "NodePort", "clusterIP": "None", "ports": [port()]}, "spec.clusterIP",
         "Invalid value: \"None\": may not be set to 'None' for NodePort services"),
        ({"clusterIP": "10.96.0.300", "ports": [port()]}, "spec.clusterIP",
         'Invalid value: "10.96.0.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'),
        ({"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.21"], "ports": [port()]}, "spec.clusterIPs",
         'Invalid value: ["10.96.0.21"]: first value must match `clusterIP`'),
        ({"clusterIPs": ["10.96.0.21"], "ports": [port()]}, "spec.clusterIPs",
         'Invalid value: ["10.96.0.21"]: must be empty when `clusterIP` is not specified'),
        ({"type": "ExternalName"}, "spec.externalName", "Required value"),
        ({"type": "ExternalName", "externalName": "example.com", "clusterIP": "None"}, "spec.clusterIP",
         "Forbidden: may not be set for ExternalName services"),
        ({"ports": [port()], "externalIPs": ["127.0.0.1"]}, "spec.externalIPs[0]",
         'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)'),
        ({"ports": [port()], "externalIPs": ["fe80::1%eth0"]}, "spec.externalIPs[0]",
         'Invalid value: "fe80::1%eth0": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'),
        ({"ports": [port()], "sessionAffinity": "Client"}, "spec.sessionAffinity",
         'Unsupported value: "Client": supported values: "ClientIP", "None"'),
        *[({"ports": [port()], "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}},
           "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
           f"Invalid value: {seconds}: must be greater than 0 and less than 86400") for seconds in (0, 86401)],
        ({"ports": [port()], "externalTrafficPolicy": "Local"}, "spec.externalTrafficPolicy",
         'Invalid value: "Local": may only be set for externally-accessible services'),
        ({"type": "NodePort", "ports": [port()], "externalTrafficPolicy": "local"}, "spec.externalTrafficPolicy",
         'Unsupported value: "local": supported values: "Cluster", "Local"'),
        ({"ports": [port()], "internalTrafficPolicy": "Node"}, "spec.internalTrafficPolicy",
         'Unsupported value: "Node": supported values: "Cluster", "Local"'),
        ({"ports": [port()], "trafficDistribution": "Near"}, "spec.trafficDistribution",
         'Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"'),
        ({"ports": [port()], "healthCheckNodePort": 30000}, "spec.healthCheckNodePort",
         "Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"),
        ({"ports": [port()], "loadBalancerClass": "x/y"}, "spec.loadBalancerClass",
         "Forbidden: may only be used when `type` is 'LoadBalancer'"),
        ({"type": "LoadBalancer", "ports": [port(port=10250)]}, "spec.ports[0]",
         "Invalid value: 10250: may not expose port 10250 externally since it is used by kubelet"),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["203.0.113.9"], "ports": [port()]},
         "spec.loadBalancerSourceRanges[0]",
         'Invalid value: "203.0.113.9": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'),
        ({"ports": [port()], "ipFamilyPolicy": "Dual"}, "spec.ipFamilyPolicy",
         'Unsupported value: "Dual": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"'),
        ({"ports": [port()], "selector": {"app": "a b"}}, "spec.selector[app]",
         'Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric characters, '
         "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
         "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"),
    ],
)  # fmt: skip
def test_bad(spec: dict[str, Any], field: str, message: str) -> None:
    (found,) = problems(**spec)
    assert (found.field, found.message) == (field, message)
    assert found.remedy or found.field in ("spec.externalIPs[0]", "spec.loadBalancerSourceRanges[0]")
