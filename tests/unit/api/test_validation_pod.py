from __future__ import annotations

from typing import Any

import pytest

from labkit.api import check, validation
from labkit.api.defaults import default
from labkit.api.problem import Problem

C = "spec.containers[0]"


def problems(**spec: Any) -> list[Problem]:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    return validation.problems(default(obj))


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "web", "image": "nginx", **fields}


def test_good() -> None:
    full = container(
        env=[{"name": "A", "value": "1"}, {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        ports=[{"containerPort": 80, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}],
        volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}],
        readinessProbe={"httpGet": {"port": "http"}, "successThreshold": 2},
        livenessProbe={"exec": {"command": ["true"]}},
        lifecycle={"preStop": {"sleep": {"seconds": 1}}},
    )
    dns = {"nameservers": ["10.96.0.10"], "searches": ["a.local", "_x.local", "."], "options": [{"name": "ndots"}]}
    sidecar = {"name": "side", "image": "i", "restartPolicy": "Always", "startupProbe": {"tcpSocket": {"port": 1}}}
    found = problems(
        containers=[full], initContainers=[sidecar], volumes=[{"name": "tmp"}], dnsPolicy="None", dnsConfig=dns,
        hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a.example"]}], nodeSelector={"zone": "a"},
    )  # fmt: skip
    assert found == []


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"name": "Web"}, f"{C}.name", None),
        ({"image": ""}, f"{C}.image", "Required value"),
        ({"image": " nginx"}, f"{C}.image", 'Invalid value: " nginx": must not have leading or trailing whitespace'),
        ({"imagePullPolicy": "always"}, f"{C}.imagePullPolicy",
         'Unsupported value: "always": supported values: "Always", "IfNotPresent", "Never"'),
        ({"ports": [{"containerPort": 0}]}, f"{C}.ports[0].containerPort",
         "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"ports": [{"containerPort": 80, "protocol": "tcp"}]}, f"{C}.ports[0].protocol",
         'Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'),
        ({"ports": [{"containerPort": 80, "name": "a_b"}]}, f"{C}.ports[0].name", None),
        ({"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}]}, f"{C}.ports[1].name",
         'Duplicate value: "a"'),
        ({"ports": [{"containerPort": 80, "hostPort": 80}, {"containerPort": 81, "hostPort": 80}]},
         f"{C}.ports[1].hostPort", 'Duplicate value: "TCP//80"'),
        ({"env": [{"name": ""}]}, f"{C}.env[0].name", "Required value"),
        ({"env": [{"name": "A=B"}]}, f"{C}.env[0].name",
         'Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters '
         "other than '='"),
        ({"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
         f"{C}.env[0].valueFrom", 'Invalid value: "": may not be specified when `value` is not empty'),
        ({"volumeMounts": [{"name": "data", "mountPath": "/d"}]}, f"{C}.volumeMounts[0].name", 'Not found: "data"'),
        ({"readinessProbe": {"periodSeconds": 5}}, f"{C}.readinessProbe",
         "Required value: must specify a handler type"),
        ({"readinessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}, f"{C}.readinessProbe.tcpSocket",
         "Forbidden: may not specify more than 1 handler type"),
        ({"readinessProbe": {"exec": {"command": []}}}, f"{C}.readinessProbe.exec.command", "Required value"),
        ({"readinessProbe": {"httpGet": {"port": 0}}}, f"{C}.readinessProbe.httpGet.port",
         "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"readinessProbe": {"httpGet": {"port": 1, "scheme": "http"}}}, f"{C}.readinessProbe.httpGet.scheme",
         'Unsupported value: "http": supported values: "HTTP", "HTTPS"'),
        ({"readinessProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": -1}},
         f"{C}.readinessProbe.initialDelaySeconds", "Invalid value: -1: must be greater than or equal to 0"),
        ({"livenessProbe": {"tcpSocket": {"port": 1}, "successThreshold": 2}}, f"{C}.livenessProbe.successThreshold",
         "Invalid value: 2: must be 1"),
    ],
)  # fmt: skip
def test_bad_container(fields: dict[str, Any], field: str, message: str | None) -> None:
    (found,) = problems(containers=[container(**fields)])
    assert found.field == field
    assert message is None or found.message == message


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"restartPolicy": "always"}, "spec.restartPolicy",
         'Unsupported value: "always": supported values: "Always", "Never", "OnFailure"'),
        ({"dnsPolicy": "ClusterLast"}, "spec.dnsPolicy",
         'Unsupported value: "ClusterLast": supported values: "ClusterFirst", "ClusterFirstWithHostNet", "Default", '
         '"None"'),
        ({"dnsPolicy": "None"}, "spec.dnsConfig",
         "Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
        ({"dnsPolicy": "None", "dnsConfig": {}}, "spec.dnsConfig.nameservers",
         "Required value: must provide at least one DNS nameserver when `dnsPolicy` is None"),
        ({"dnsConfig": {"nameservers": ["10.0.0.1"] * 4}}, "spec.dnsConfig.nameservers",
         'Invalid value: ["10.0.0.1","10.0.0.1","10.0.0.1","10.0.0.1"]: must not have more than 3 nameservers'),
        ({"dnsConfig": {"nameservers": ["dns"]}}, "spec.dnsConfig.nameservers[0]",
         'Invalid value: "dns": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'),
        ({"dnsConfig": {"searches": ["A.B"]}}, "spec.dnsConfig.searches[0]", None),
        ({"dnsConfig": {"searches": ["a"] * 33}}, "spec.dnsConfig.searches", None),
        ({"dnsConfig": {"searches": ["a" * 250] * 9}}, "spec.dnsConfig.searches", None),
        ({"dnsConfig": {"options": [{"value": "1"}]}}, "spec.dnsConfig.options[0].name",
         "Required value: must not be empty"),
        ({"terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds",
         "Invalid value: -1: must be greater than or equal to 0"),
        ({"hostname": "a.b"}, "spec.hostname", None),
        ({"subdomain": "a.b"}, "spec.subdomain", None),
        ({"nodeName": "A"}, "spec.nodeName", None),
        ({"serviceAccountName": "A"}, "spec.serviceAccountName", None),
        ({"nodeSelector": {"zone": "a b"}}, "spec.nodeSelector[zone]", None),
        ({"hostAliases": [{"ip": "x"}]}, "spec.hostAliases[0].ip", None),
        ({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath",
         "Forbidden: may not specify more than 1 volume type"),
        ({"initContainers": [container()]}, "spec.initContainers[0].name", 'Duplicate value: "web"'),
        ({"initContainers": [container(name="i", readinessProbe={"tcpSocket": {"port": 1}})]},
         "spec.initContainers[0].readinessProbe",
         "Forbidden: may not be set for init containers without restartPolicy=Always"),
        ({"hostNetwork": True, "containers": [container(ports=[{"containerPort": 80, "hostPort": 81}])]},
         f"{C}.ports[0].hostPort", "Invalid value: 81: must match `containerPort` when `hostNetwork` is true"),
        ({"containers": []}, "spec.containers", "Required value"),
    ],
)  # fmt: skip
def test_bad_spec(spec: dict[str, Any], field: str, message: str | None) -> None:
    (found,) = problems(**{"containers": [container()], **spec})
    assert found.field == field
    assert message is None or found.message == message


def test_pod_without_a_spec() -> None:
    (found,) = check.problems({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}})
    assert (found.field, found.message) == ("spec.containers", "Required value")
