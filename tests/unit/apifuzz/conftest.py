"""A server to send anything to; the helpers here are importable from all tests of this folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_bed import Bed


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed() as made:
        yield made
