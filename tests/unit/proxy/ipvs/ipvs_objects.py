"""Objects, and what is planned for them in ipvs mode, piece by piece."""

from typing import Any

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.proxy.config import DEFAULT, ProxyConfig
from labkit.proxy.ipvs.plan import IpvsPlan, plan
from labkit.proxy.mode import seen

NODE = view(
    {"metadata": {"name": "node-1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.1.2"}]}}, Node
)


def web(kind: str = "ClusterIP", lb: str = "", **spec: Any) -> Service:
    made = {"type": kind, "clusterIP": "10.96.0.20", "ports": [{"name": "http", "port": 80}], **spec}
    status = {"loadBalancer": {"ingress": [{"ip": lb}] if lb else []}}
    return view({"metadata": {"namespace": "shop", "name": "web"}, "spec": made, "status": status}, Service)


def ends(*addresses: str, annotations: dict[str, str] | None = None, **more: Any) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": "web"}
    return view(
        {
            "metadata": {"namespace": "shop", "name": "web-1", "labels": labels, "annotations": annotations or {}},
            "endpoints": [{"addresses": [a], **more} for a in addresses],
            "ports": [{"name": "http", "port": 8080}],
        },
        EndpointSlice,
    )


def made(
    service: Service, *slices: EndpointSlice, config: ProxyConfig = DEFAULT, local: tuple[str, ...] = ()
) -> IpvsPlan:
    return plan(seen([service], slices, NODE, config.family), config, frozenset(local))


def elements(found: IpvsPlan) -> dict[str, list[str]]:
    return {one.name: sorted(map(str, one.elements)) for one in found.sets if one.elements}


def chain(found: IpvsPlan, table: str, name: str) -> list[str]:
    known = found.rules.chain(table, name)
    assert known is not None
    return [rule.text for rule in known.rules]


def saved(found: IpvsPlan) -> list[str]:
    return "".join(map(str, found.servers)).splitlines()


COMMENT = '-m comment --comment "Kubernetes'
CLUSTER_IPS = f'{COMMENT} service cluster ip + port for masquerade purpose" -m set --match-set KUBE-CLUSTER-IP dst,dst'
