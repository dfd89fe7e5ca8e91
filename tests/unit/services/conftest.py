from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from labkit.control.admission import Admission
from labkit.control.namespaces import create_initial
from labkit.control.store import Store
from labkit.services.admission import ServiceAdmission

Raw = dict[str, Any]


def new_admission(cidr: str = "10.96.0.0/12", seed: int = 1) -> Admission:
    store = Store(seed)
    admission = Admission(store)
    ServiceAdmission(store, cidr).register(admission)
    create_initial(admission)
    return admission


@pytest.fixture
def admission() -> Admission:
    return new_admission()


@pytest.fixture
def small() -> Admission:
    """With a range of six addresses."""
    return new_admission("10.0.0.0/29")


@pytest.fixture
def service() -> Callable[..., Raw]:
    def made(name: str = "web", **spec: Any) -> Raw:
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}

    return made
