"""The official Python client against a running lab."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from labkit.lab import Lab

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports' business
    from kubernetes import client, config

SPACE = "default"


def connect(running: Lab) -> Any:
    """A connection as the lab's administrator; `with` closes it."""
    return client_of(running.kubeconfig)


def client_of(kubeconfig: Path) -> Any:
    """A connection as a kubeconfig has it."""
    configured = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configured)
    return client.ApiClient(configured)


def config_map(name: str, test: str, **data: str) -> Any:
    """A ConfigMap, labelled with the test that it is of."""
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"test": test}), data=data)


def deployment(name: str, replicas: int, image: str = "nginx:1") -> Any:
    labels = {"app": name}
    pod = client.V1PodSpec(containers=[client.V1Container(name="web", image=image)])
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=pod)
    spec = client.V1DeploymentSpec(replicas=replicas, selector={"matchLabels": labels}, template=template)
    return client.V1Deployment(metadata=client.V1ObjectMeta(name=name, labels=labels), spec=spec)
