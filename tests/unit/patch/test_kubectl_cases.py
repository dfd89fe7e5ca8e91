"""Random objects and patches against what kubectl 1.32.4 makes of them: `kubectl patch --local`, whose code is the
server's own. A null result: it refuses the patch. Left out is where the two differ on purpose: directives that make no
sense where they stand are refused here, or left out, and remain in the object there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labkit.api.schema import definition
from labkit.control.patch import patched
from labkit.control.store import copy
from labkit.errors import ApiError

CASES = [json.loads(line) for line in Path(__file__).with_name("kubectl_cases.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_result_is_kubectls(number):
    case = CASES[number]
    live, patch = case["object"], case["patch"]
    before = copy(live), json.dumps(patch)
    try:
        made = patched(case["kind"], live, patch, definition(live["apiVersion"], live["kind"]))
    except ApiError as error:
        assert error.details["status"]["code"] in (400, 422)
        made = None
    assert made == case["result"]
    assert (live, json.dumps(patch)) == before
