"""Live tests run in a sandbox, each of them once in either kind; the helpers here are importable from all of them.

@pytest.mark.sandbox("namespaces")    a test that needs what only this kind has; beside it stands what that is
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from labs import SHOP

from labkit import lab

KINDS = ("namespaces", "uml")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    only = metafunc.config.getoption("sandbox")
    metafunc.parametrize("sandbox", [only] if only else KINDS, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def sandbox(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of sandbox that labs get which say nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_SANDBOX", request.param)
        yield request.param


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sandbox(kind): the one kind of sandbox that has what the test needs")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out a test in the kind of sandbox that it cannot run in."""

    def fits(item: pytest.Item) -> bool:
        mark = item.get_closest_marker("sandbox")
        return mark is None or item.callspec.params["sandbox"] in mark.args  # type: ignore[attr-defined]

    config.hook.pytest_deselected(items=[item for item in items if not fits(item)])
    items[:] = [item for item in items if fits(item)]


@pytest.fixture(scope="module")
def shop(sandbox: str) -> Iterator[lab.Lab]:
    """A lab of three nodes in two zones with the shop in it, one for all tests of a file."""
    with lab.start(name="shop") as started:
        started.apply(SHOP)
        started.wait()
        yield started
