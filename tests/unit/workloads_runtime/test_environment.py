from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.api.objects import Container, Pod
from labkit.errors import CommandError
from labkit.workloads.environment import expand
from labkit.workloads.environment import variables as all_variables
from labkit.workloads.fields import Facts
from labkit.workloads.sources import Sources

VALUES = {"A": "1", "B": "$(A)", "EMPTY": ""}


@pytest.mark.parametrize(  # the cases of expansion_test.go
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y", "x1y"),
        ("$(B)", "$(A)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(NOPE)", "$(NOPE)"),
        ("$(EMPTY)|", "|"),
        ("$()", "$()"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("foo$", "foo$"),
        ("$$", "$"),
        ("$(A)$(A)", "11"),
        ("\n$(A)", "\n1"),
    ],
)
def test_expand(text: str, expanded: str) -> None:
    assert expand(text, VALUES) == expanded


@given(st.text(alphabet="ab$() ", max_size=12))
def test_without_a_dollar_nothing_changes(text: str) -> None:
    plain = text.replace("$", "")
    assert expand(plain, VALUES) == plain
    assert expand(text.replace("$", "$$"), VALUES) == text


POD = msgspec.convert(
    {
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "node-2", "serviceAccountName": "sa"},
        "status": {"hostIP": "172.18.1.2"},
    },
    Pod,
)


FACTS = Facts("10.244.2.7", "172.18.1.2", {"cpu": "2", "memory": "4Gi"})
CONFIG = {"kind": "ConfigMap", "metadata": {"name": "cfg", "namespace": "shop"}, "data": {"color": "red", "n": "1"}}
SECRET = {"kind": "Secret", "metadata": {"name": "sec", "namespace": "shop"}, "data": {"pw": "aHVudGVyMg=="}}


def variables(env: list[dict[str, Any]], *objects: dict[str, Any], **container: Any) -> dict[str, str]:
    made = msgspec.convert({"name": "c", "env": env, **container}, Container)
    return all_variables(made, POD, FACTS, Sources([CONFIG, SECRET, *objects]))


def from_field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="web"'),
        ("spec.nodeName", "node-2"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "10.244.2.7"),
        ("status.hostIP", "172.18.1.2"),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert variables([from_field(path)]) == {"X": value}


def test_later_variables_see_earlier_ones() -> None:
    env = [
        {"name": "LATE", "value": "$(NAME)"},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "URL", "value": "http://$(NAME):$$(PORT)"},
    ]
    assert variables(env)["URL"] == "http://web-1:$(PORT)"
    assert variables(env)["LATE"] == "$(NAME)"


def key(kind: str, name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {kind: {"name": name, "key": key, **more}}}


def test_values_from_configmaps_and_secrets() -> None:
    assert variables([key("configMapKeyRef", "cfg", "color")]) == {"X": "red"}
    assert variables([key("secretKeyRef", "sec", "pw")]) == {"X": "hunter2"}
    assert variables([key("configMapKeyRef", "cfg", "none", optional=True)]) == {}
    assert variables([key("secretKeyRef", "none", "pw", optional=True)]) == {}


def test_all_of_a_configmap_with_a_prefix_and_env_wins() -> None:
    everything = [{"prefix": "P_", "configMapRef": {"name": "cfg"}}, {"secretRef": {"name": "sec"}}]
    found = variables([{"name": "pw", "value": "$(P_color)"}], envFrom=everything)
    assert found == {"P_color": "red", "P_n": "1", "pw": "red"}
    assert variables([], envFrom=[{"configMapRef": {"name": "none", "optional": True}}]) == {}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "0", "1"),
        ("limits.cpu", "1m", "250"),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "0", "67108864"),
        ("requests.cpu", "1m", "0"),
        ("requests.memory", "1k", "1000"),
    ],
)
def test_resources(resource: str, divisor: str, value: str) -> None:
    source = {"name": "X", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}
    limits = {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"memory": "1M"}}
    assert variables([source], resources=limits) == {"X": value}


def test_a_limit_that_is_not_set_is_what_the_node_has() -> None:
    source = {"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Gi"}}}
    assert variables([source]) == {"X": "4"}


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (from_field("spec.priority"), "unsupported fieldPath: spec.priority"),
        (key("secretKeyRef", "none", "k"), 'secret "none" not found'),
        (key("secretKeyRef", "sec", "k"), "couldn't find key k in Secret shop/sec"),
        (key("configMapKeyRef", "none", "k"), 'configmap "none" not found'),
        (key("configMapKeyRef", "cfg", "k"), "couldn't find key k in ConfigMap shop/cfg"),
    ],
)
def test_what_cannot_be_had(env: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError) as caught:
        variables([env])
    assert caught.value.message == message


def service(name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}, {"name": "dns-udp", "port": 53, "protocol": "UDP"}]
    whole = {"clusterIP": "10.96.0.7", "ports": ports, **spec}
    return {"kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": whole}


def test_services_as_envvars_go_names_them() -> None:
    master = service("kubernetes", "default", clusterIP="10.96.0.1", ports=[{"name": "https", "port": 443}])
    found = variables([{"name": "URL", "value": "$(WEB_SHOP_SERVICE_HOST)"}], master, service("web-shop"))
    assert {name: value for name, value in found.items() if name.startswith("WEB_")} == {
        "WEB_SHOP_SERVICE_HOST": "10.96.0.7",
        "WEB_SHOP_SERVICE_PORT": "80",
        "WEB_SHOP_SERVICE_PORT_HTTP": "80",
        "WEB_SHOP_SERVICE_PORT_DNS_UDP": "53",
        "WEB_SHOP_PORT": "tcp://10.96.0.7:80",
        "WEB_SHOP_PORT_80_TCP": "tcp://10.96.0.7:80",
        "WEB_SHOP_PORT_80_TCP_PROTO": "tcp",
        "WEB_SHOP_PORT_80_TCP_PORT": "80",
        "WEB_SHOP_PORT_80_TCP_ADDR": "10.96.0.7",
        "WEB_SHOP_PORT_53_UDP": "udp://10.96.0.7:53",
        "WEB_SHOP_PORT_53_UDP_PROTO": "udp",
        "WEB_SHOP_PORT_53_UDP_PORT": "53",
        "WEB_SHOP_PORT_53_UDP_ADDR": "10.96.0.7",
    }
    assert found["URL"] == "10.96.0.7"
    assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"


def test_services_that_are_left_out() -> None:
    others = [service("a", "other"), service("b", clusterIP="None"), service("c", type="ExternalName", clusterIP="")]
    assert variables([], *others) == {}
    master = service("kubernetes", "default")
    alone = msgspec.convert({**msgspec.to_builtins(POD), "spec": {"enableServiceLinks": False}}, Pod)
    found = all_variables(Container(name="c"), alone, FACTS, Sources([master, service("web")]))
    assert "KUBERNETES_SERVICE_HOST" in found and "WEB_SERVICE_HOST" not in found
