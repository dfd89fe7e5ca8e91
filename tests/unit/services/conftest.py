from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit.control.admission import Admission
from labkit.control.namespaces import create_initial
from labkit.control.store import Store
from labkit.services.admission import ServiceAdmission
from labkit.services.allocator import Ranges

Raw = dict[str, Any]


def new_admission(ports: tuple[int, int] = (30000, 32767), **cidrs: str) -> Admission:
    """`cidrs`: the Service range of each IP family, the default family first."""
    store = Store(1)
    admission = Admission(store)
    ServiceAdmission(store, Ranges(cidrs or {"IPv4": "10.96.0.0/12"}, ports)).register(admission)
    create_initial(admission)
    return admission


@pytest.fixture
def admission() -> Admission:
    return new_admission()


@pytest.fixture
def small() -> Admission:
    """With a range of six addresses."""
    return new_admission(IPv4="10.0.0.0/29")


@pytest.fixture
def two_ports() -> Admission:
    """With a range of two node ports."""
    return new_admission((30000, 30001))


@pytest.fixture
def dual() -> Admission:
    """With both IP families."""
    return new_admission(IPv4="10.96.0.0/12", IPv6="fd00:10:96::/112")


@pytest.fixture
def service() -> Callable[..., Raw]:
    def made(name: str = "web", **spec: Any) -> Raw:
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}

    return made
