"""IP families of Services, on clusters of one family and of both."""

from __future__ import annotations

import pytest

from labkit.control.apply import apply
from labkit.control.store import copy
from labkit.errors import ApiError

from .conftest import new_admission

BOTH = ["IPv4", "IPv6"]


def kinds(spec):
    """Policy, families, and the families that the addresses are of."""
    addresses = ["IPv6" if ":" in address else "IPv4" for address in spec["clusterIPs"] if address != "None"]
    return spec["ipFamilyPolicy"], spec["ipFamilies"], addresses


def refused(call, raw):
    with pytest.raises(ApiError) as error:
        call(raw)
    assert error.value.details["status"]["code"] == 422
    return error.value.message.partition(" is invalid: ")[2]


@pytest.mark.parametrize(
    ("spec", "policy", "families"),
    [
        ({}, "SingleStack", ["IPv4"]),
        ({"ipFamilies": ["IPv6"]}, "SingleStack", ["IPv6"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", BOTH),
        ({"ipFamilyPolicy": "RequireDualStack"}, "RequireDualStack", BOTH),
        ({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, "PreferDualStack", ["IPv6", "IPv4"]),
        ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}, "RequireDualStack", ["IPv6", "IPv4"]),
        ({"clusterIP": "fd00:10:96::a"}, "SingleStack", ["IPv6"]),
        ({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilyPolicy": "PreferDualStack"},
         "PreferDualStack", BOTH),
        ({"clusterIP": "fd00:10:96::a", "clusterIPs": ["fd00:10:96::a", "10.96.0.9"],
          "ipFamilyPolicy": "RequireDualStack"}, "RequireDualStack", ["IPv6", "IPv4"]),
    ],
)  # fmt: skip
def test_on_a_cluster_of_both(dual, service, spec, policy, families):
    made = dual.create(service(**spec))["spec"]
    assert kinds(made) == (policy, families, families)
    assert made["clusterIP"] == made["clusterIPs"][0]
    assert all(made["clusterIPs"][n] == asked for n, asked in enumerate(spec.get("clusterIPs", [])))


def test_the_first_range_is_the_default_family(service):
    six = new_admission(IPv6="fd00:10:96::/112", IPv4="10.96.0.0/12")
    assert kinds(six.create(service())["spec"]) == ("SingleStack", ["IPv6"], ["IPv6"])
    only = new_admission(IPv6="fd00:10:96::/112")
    assert kinds(only.create(service(ipFamilyPolicy="PreferDualStack"))["spec"])[1] == ["IPv6"]


def test_headless(dual, admission, service):
    assert kinds(dual.create(service("a", clusterIP="None"))["spec"])[:2] == ("SingleStack", ["IPv4"])
    prefers = service("b", clusterIP="None", ipFamilyPolicy="PreferDualStack")
    assert kinds(dual.create(prefers)["spec"])[:2] == ("PreferDualStack", BOTH)
    bare = service("c", clusterIP="None", selector={})
    for cluster in (dual, admission):  # whoever writes its endpoints knows what there is
        assert kinds(cluster.create(bare)["spec"])[:2] == ("RequireDualStack", BOTH)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"ipFamilies": BOTH}, "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or "
                               "'PreferDualStack' when multiple IP families are specified"),
        ({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::a"]},
         "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified"),
        ({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "10.96.0.10"], "ipFamilyPolicy": "RequireDualStack"},
         "may specify no more than one IP for each IP family"),
        ({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::a", "10.96.0.10"]},
         "may only hold up to 2 values"),
        ({"clusterIP": "None", "clusterIPs": ["None", "10.96.0.9"]}, "'None' must be the first and only value"),
        ({"clusterIP": "10.96.0.9", "ipFamilies": ["IPv6"]},
         "spec.clusterIPs[0]: Invalid value: \"10.96.0.9\": expected an IPv6 value as indicated by `ipFamilies[0]`"),
        ({"clusterIP": "fd00:10:97::1"},
         "failed to allocate IP fd00:10:97::1: the provided network does not match the current range"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(dual, service, spec, why):
    assert why in refused(dual.create, service(**spec))


def test_an_address_of_a_family_that_the_cluster_does_not_have(admission, service):
    why = 'spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster'
    assert refused(admission.create, service(clusterIP="fd00::1")) == why


def test_upgrade_and_downgrade_in_place(dual, service):
    first = dual.create(service())["spec"]["clusterIP"]
    apply(dual, [service(ipFamilyPolicy="PreferDualStack")])
    spec = copy(dual.store.get("Service", "default", "web"))["spec"]
    assert kinds(spec) == ("PreferDualStack", BOTH, BOTH) and spec["clusterIP"] == first
    second = spec["clusterIPs"][1]
    assert dual.replace(service())["spec"] == spec  # a client that does not know of families changes nothing
    shorter = service(ipFamilyPolicy="PreferDualStack", clusterIP=first, clusterIPs=[first], ipFamilies=BOTH)
    assert "must be 'SingleStack' to release the secondary cluster IP" in refused(dual.replace, shorter)
    down = dual.replace(service(ipFamilyPolicy="SingleStack"))["spec"]
    assert kinds(down) == ("SingleStack", ["IPv4"], ["IPv4"]) and down["clusterIP"] == first
    taken = service("next", clusterIP=second)
    assert dual.create(taken)["spec"]["clusterIP"] == second  # it is free again


def test_the_first_family_may_not_change(dual, service):
    dual.create(service(ipFamilyPolicy="PreferDualStack"))
    swapped = refused(dual.replace, service(ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv6", "IPv4"]))
    assert "expected an IPv6 value as indicated by `ipFamilies[0]`" in swapped
    dual.create(service("h", clusterIP="None"))
    other = service("h", clusterIP="None", ipFamilies=["IPv6"])
    assert 'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set' in refused(dual.replace, other)


def test_from_external_name_and_back(dual, service):
    external = service(type="ExternalName", externalName="example.org")
    assert not dual.create(external)["spec"].keys() & {"ipFamilies", "ipFamilyPolicy", "clusterIPs"}
    made = dual.replace(service(ipFamilyPolicy="RequireDualStack"))["spec"]
    assert kinds(made) == ("RequireDualStack", BOTH, BOTH)
    whole = copy(dual.store.get("Service", "default", "web"))
    whole["spec"] |= {"type": "ExternalName", "externalName": "example.org"}
    assert not dual.replace(whole)["spec"].keys() & {"ipFamilies", "ipFamilyPolicy", "clusterIPs", "clusterIP"}


def test_a_range_that_is_full_in_one_family_gives_nothing(service):
    tiny = new_admission(IPv4="10.0.0.0/24", IPv6="fd00::/127")
    assert tiny.create(service("a", ipFamilies=["IPv6"]))["spec"]["clusterIP"] == "fd00::1"
    with pytest.raises(ApiError, match="failed to allocate a serviceIP: range is full") as error:
        tiny.create(service("b", ipFamilyPolicy="RequireDualStack"))
    assert error.value.details["status"]["code"] == 500
    assert tiny.store.find("Service", "default", "b") is None
