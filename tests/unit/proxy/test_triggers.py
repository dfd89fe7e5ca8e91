"""From when on a change of endpoints is measured, and what a sync takes of it."""

from __future__ import annotations

from labkit.api.objects import TRIGGER_TIME, EndpointSlice, view
from labkit.proxy.triggers import Cause, Triggers, cause

WEB, DB = "default/web", "default/db"


def test_what_a_slice_tells() -> None:
    def told(gone: bool = False, **annotations: str) -> Cause:
        metadata = {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}, "annotations": annotations}
        return cause(view({"metadata": metadata}, EndpointSlice), gone)

    assert told(**{TRIGGER_TIME: "1970-01-01T00:00:10Z"}) == Cause(WEB, 10.0)
    assert told(**{TRIGGER_TIME: "1970-01-01T00:00:10.25Z"}) == Cause(WEB, 10.25)
    assert told() == told(**{TRIGGER_TIME: "yesterday"}) == Cause(WEB)
    assert told(gone=True, **{TRIGGER_TIME: "1970-01-01T00:00:10Z"}) == Cause(WEB, gone=True)


def test_each_counts_once_unless_its_slice_goes_first() -> None:
    triggers = Triggers(began=5.0)
    for each in (Cause(WEB, 6.0), Cause(DB, 7.0), Cause(WEB, 8.0), Cause(WEB), Cause(WEB, 5.0)):
        triggers.add(each)
    assert sorted(triggers.take()) == [6.0, 7.0, 8.0]
    assert triggers.take() == []
    for each in (Cause(WEB, 9.0), Cause(DB, 9.5), Cause(WEB, gone=True), Cause("default/other", gone=True)):
        triggers.add(each)
    assert triggers.take() == [9.5]
