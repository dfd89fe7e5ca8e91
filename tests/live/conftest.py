"""Live tests run in the sandbox; `inside` and the other helpers here are importable from every one of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from labs import SHOP

from labkit import lab


@pytest.fixture(scope="module")
def shop() -> Iterator[lab.Lab]:
    """A lab of three nodes in two zones with the shop in it, one for all tests of a file."""
    with lab.start(name="shop") as started:
        started.apply(SHOP)
        started.wait()
        yield started
