"""What a pod is to a Service: whether it is selected, which ports it has for it, at which address it is reached.

Source: k8s.io/endpointslice/util/controller_utils.go, k8s.io/endpointslice/utils.go of v1.34.
"""

from __future__ import annotations

import ipaddress

from labkit.api.objects import EndpointPort, Pod, Service, ServicePort, TargetRef


def selects(service: Service, pod: Pod) -> bool:
    """Whether the Service's selector picks the pod; a Service without a selector picks none."""
    selector = service.spec.selector
    return bool(selector) and selector.items() <= pod.metadata.labels.items()


def reachable(pod: Pod) -> bool:
    """Whether a pod can be an endpoint at all: it has an address and has not ended for good."""
    return bool(addresses(pod)) and pod.status.phase not in ("Succeeded", "Failed")


def addresses(pod: Pod) -> tuple[str, ...]:
    return tuple(item.ip for item in pod.status.pod_ips) or ((pod.status.pod_ip,) if pod.status.pod_ip else ())


def family(address: str) -> str:
    return f"IPv{ipaddress.ip_address(address).version}"


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """The number behind a Service port on this pod; None where no container has a port of that name and protocol."""
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    declared = (p for container in pod.spec.containers for p in container.ports)
    wanted = (port.target_port, port.protocol)
    return next((p.container_port for p in declared if (p.name, p.protocol) == wanted), None)


def endpoint_ports(service: Service, pod: Pod) -> tuple[EndpointPort, ...]:
    """The Service's ports on this pod, in the Service's order; those that the pod does not have are left out."""
    found = ((port, target_port(pod, port)) for port in service.spec.ports)
    return tuple(
        EndpointPort(name=port.name, protocol=port.protocol, port=number, app_protocol=port.app_protocol)
        for port, number in found
        if number is not None
    )


def hostname(service: Service, pod: Pod) -> str:
    """The pod's name in DNS below the Service, which it has where its subdomain names the Service."""
    return pod.spec.hostname if pod.spec.subdomain == service.name else ""


def reference(pod: Pod) -> TargetRef:
    return TargetRef(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.metadata.uid)
