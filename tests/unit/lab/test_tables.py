from __future__ import annotations

from typing import Any

import pandas as pd

from labkit.api import kinds
from labkit.lab.frames import Frame
from labkit.lab.tables import Layout, text

Raw = dict[str, Any]


def pod(name: str, **more: Any) -> Raw:
    ended = {"terminated": {"finishedAt": "2025-01-31T12:00:00Z"}}
    container = {"name": "c", "ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": ended}
    meta = {"name": name, "namespace": "shop", "labels": {"example.com/tier": "front"}, **more}
    status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [container]}
    return {"metadata": meta, "spec": {"containers": [{"name": "c"}], "nodeName": "node-1"}, "status": status}


def test_a_row_is_kubectls_wide_one_without_ages() -> None:
    layout = Layout(kinds.Catalogue().find("po"), False)
    expected = {"NAME": "web", "READY": "1/1", "STATUS": "Running", "RESTARTS": 2, "IP": "10.0.0.1", "NODE": "node-1"}
    assert layout.header == list(expected)
    assert layout.row(pod("web")) == list(expected.values())


def test_namespaces_come_first_and_labels_last() -> None:
    keys = ["example.com/tier", "zone"]
    layout = Layout(kinds.Catalogue().find("po"), True, keys)
    row = layout.row(pod("web"))
    assert layout.header[0] == "NAMESPACE" and row[0] == "shop"
    assert layout.header[-2:] == ["TIER", "ZONE"] and row[-2:] == ["front", ""]


def test_no_row_changes_with_time() -> None:
    for resource in kinds.RESOURCES:
        if resource.kind in ("Pod", "RoleBinding", "ClusterRoleBinding"):
            continue
        old, new = ({"metadata": {"name": "x", "creationTimestamp": f"20{y}-01-01T00:00:00Z"}} for y in (10, 20))
        layout = Layout(resource, False)
        assert layout.row(old) == layout.row(new) and len(layout.header) == len(layout.row(old))


def test_addresses_are_whole_and_in_order() -> None:
    endpoints = [{"addresses": [f"10.0.0.{n}"]} for n in (4, 2, 3, 1)]
    o = {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints}
    layout = Layout(kinds.Catalogue().find("endpointslices"), False)
    assert layout.row(o)[layout.header.index("ENDPOINTS")] == "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4"


def test_a_custom_kind_has_the_columns_that_it_asks_for() -> None:
    gateway = kinds.Resource("Gateway", "example.com/v1", "gateways", custom=True)
    columns = [
        {"name": "Class", "type": "string", "jsonPath": ".spec.class"},
        {"name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ]
    layout = Layout(gateway, False, columns=columns)
    o = {"metadata": {"name": "web", "creationTimestamp": "2025-01-31T12:00:00Z"}, "spec": {"class": "istio"}}
    assert (layout.header, layout.row(o)) == (["NAME", "CLASS"], ["web", "istio"])
    assert Layout(gateway, False).header == ["NAME"]


def test_text_is_in_kubectls_columns() -> None:
    assert text(["NAME", "N"], [["web", 3], ["a-longer-one", ""]]) == "NAME           N\nweb            3\na-longer-one"


def test_a_frame_shows_itself_as_kubectl_does() -> None:
    frame = Frame([["web", 1, "<none>"], ["a-longer-one", 2, ""]], columns=["NAME", "N", "WHAT"])
    assert repr(frame) == str(frame) == "NAME           N   WHAT\nweb            1   <none>\na-longer-one   2"
    assert frame._repr_html_().count("<tr") == 3 and "&lt;none&gt;" in frame._repr_html_()
    assert type(frame[frame.N > 1]) is type(frame.set_index("NAME")) is pd.DataFrame
    assert repr(Frame(columns=["NAME"])) == "NAME"
    assert repr(Frame({"N": range(105)})).endswith("\n99\n… and 5 more")
