from __future__ import annotations

from labkit.api.objects import Deployment, Service, view
from labkit.dns import corefile
from labkit.dns.addon import addon


def test_the_addon_holds_together() -> None:
    objects = {(obj["kind"], obj["metadata"]["name"]): obj for obj in addon("lab.test", "10.96.0.99")}
    assert len(objects) == 6
    service = view(objects["Service", "kube-dns"], Service)
    deployment = view(objects["Deployment", "coredns"], Deployment)
    template = deployment.spec.template
    assert service.spec.cluster_ip == "10.96.0.99"
    assert service.spec.selector == deployment.spec.selector.match_labels == template.metadata.labels
    assert deployment.spec.replicas == 2
    (container,) = template.spec.containers
    ports = {(port.container_port, port.protocol) for port in container.ports}
    assert {(port.target_port, port.protocol) for port in service.spec.ports} <= ports
    names = {port.name for port in container.ports}
    assert container.readiness_probe and container.readiness_probe.http_get
    assert container.readiness_probe.http_get.port in names
    (block,) = corefile.parse(objects["ConfigMap", "coredns"]["data"]["Corefile"])
    assert block.kubernetes and block.kubernetes.zones[0] == "lab.test."
    assert (block.health, block.ready, block.prometheus) == (8080, 8181, 9153)
