"""Settings of the property tests: how fast a machine draws examples says nothing about the product.

The very first run in a fresh clone is the slowest: hypothesis builds its tables of characters while the test waits.
"""

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# What unit and live tests share.
sys.path.insert(0, str(Path(__file__).parent / "conformance"))

settings.register_profile("labkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("labkit")

# A run in the background of a shell has SIGINT ignored, one under nohup SIGHUP, and so would the clients whose ends are
# tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sandbox", choices=("namespaces", "uml"), help="run the live tests in this kind of sandbox only")
