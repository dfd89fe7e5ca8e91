"""A node that refuses a rule: the port at fault is named and tried again, all others are in force."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from inside import VARIANTS, in_sandbox
from msgspec.structs import replace

from labkit.api.objects import EndpointSlice, Node, Service, view
from labkit.errors import RuleError
from labkit.linux import iptables, netns
from labkit.linux.iptables import Variant
from labkit.linux.rule_marks import RuleMarks
from labkit.proxy.configuration.defaults import completed, platform
from labkit.proxy.configuration.duration import SECOND, Duration
from labkit.proxy.configuration.fields import KubeProxyConfiguration
from labkit.proxy.configuration.settings import Settings
from labkit.proxy.family import Surroundings
from labkit.proxy.kube_proxy import KubeProxy
from labkit.proxy.model import PortKey
from labkit.proxy.tracker import Tracker

NODE = view(
    {"metadata": {"name": "node-1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.1.2"}]}}, Node
)


def service(name: str, port: int = 80) -> Service:
    spec = {"clusterIP": f"10.96.1.{len(name)}", "ports": [{"name": "http", "port": port}]}
    return view({"metadata": {"namespace": "shop", "name": name}, "spec": spec}, Service)


def slice_of(name: str, *addresses: str) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": name}
    return view(
        {
            "metadata": {"namespace": "shop", "name": name, "labels": labels},
            "endpoints": [{"addresses": [address]} for address in addresses],
            "ports": [{"name": "http", "port": 8080}],
        },
        EndpointSlice,
    )


class Bed:
    """A proxy by itself in a namespace; `told`: what it said of refused ports, `log`: its log's messages."""

    def __init__(self, variant: Variant, config: KubeProxyConfiguration) -> None:
        self.path, self.variant = netns.create("node-1"), variant
        self.tracker = Tracker()
        self.told: list[list[str]] = []
        self.log: list[str] = []
        self.quiet = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()
        around = Surroundings(
            self._start, asyncio.get_running_loop().call_later, self.quiet.set, lambda: False, self._say, self._refused
        )
        settings = Settings(platform(completed(config, Duration(0))))
        self.proxy = KubeProxy(self.path, NODE, settings, variant, [self.tracker], around)

    async def begin(self) -> None:
        await self.proxy.prepare()
        self.proxy.begin()
        await self.still()

    async def change(self, *objects: Service | EndpointSlice, gone: bool = False) -> None:
        for one in objects:
            if isinstance(one, Service):
                self.proxy.services_changed("IPv4", self.tracker.service(one, gone=gone))
            else:
                self.proxy.endpoints_changed("IPv4", self.tracker.slice(one, gone=gone))
        await self.still()

    async def still(self) -> None:
        async with asyncio.timeout(30):
            while not self.proxy.idle:
                self.quiet.clear()
                await self.quiet.wait()

    @property
    def rules(self) -> str:
        return iptables.save(self.path, self.variant, "nat")

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _say(self, level: str, place: str, message: str, facts: dict[str, Any]) -> None:
        self.log.append(message)

    def _refused(self, refused: Mapping[PortKey, RuleError]) -> None:
        self.told.append(sorted(name for name, _ in refused))


def config(**iptables: Any) -> KubeProxyConfiguration:
    made = KubeProxyConfiguration()
    return replace(made, iptables=replace(made.iptables, **iptables))


@VARIANTS
@in_sandbox
async def test_a_refused_line_is_named_and_the_rest_is_in_force(variant: str) -> None:
    bed = Bed(Variant(variant), KubeProxyConfiguration())
    for name in ("a", "bb", "ccc"):
        bed.tracker.service(service(name))
        bed.tracker.slice(slice_of(name, "10.244.1.5"))
    bed.tracker.service(service("wrong", port=70000))
    bed.tracker.slice(slice_of("wrong", "10.244.1.9"))
    await bed.begin()
    assert all(f'"shop/{name}:http cluster IP"' in bed.rules for name in ("a", "bb", "ccc"))
    assert "wrong" not in bed.rules
    assert bed.told == [["shop/wrong:http"]]
    state = bed.proxy.state()["families"]["IPv4"]
    assert "70000" in state["refused"]["shop/wrong:http/tcp"]
    assert bed.proxy.metrics.restore_failures.get(ip_family="IPv4") >= 1

    await bed.change(service("dddd"), slice_of("dddd", "10.244.1.6", "10.244.1.7"))
    assert '"shop/dddd:http cluster IP"' in bed.rules and "wrong" not in bed.rules

    await bed.change(service("wrong"))
    assert '"shop/wrong:http cluster IP"' in bed.rules
    assert bed.told == [["shop/wrong:http"], []]
    bed.proxy.stop()


@VARIANTS
@in_sandbox
async def test_a_node_that_takes_nothing_is_late_until_it_does(variant: str) -> None:
    """Somebody made a chain of kube-proxy's the target of a rule that keeps it from being removed."""
    bed = Bed(Variant(variant), config(sync_period=Duration(3600 * SECOND), min_sync_period=Duration(0)))
    await bed.begin()
    await bed.change(service("a"), slice_of("a", "10.244.1.5"))
    chain = next(line.split()[0][1:] for line in bed.rules.splitlines() if line.startswith(":KUBE-SVC-"))
    iptables.restore(bed.path, f"*nat\n:MINE - [0:0]\n-A MINE -j {chain}\nCOMMIT\n", bed.variant)
    await bed.change(service("a"), slice_of("a", "10.244.1.5"), gone=True)
    assert "Failed to execute iptables-restore" in bed.log
    assert bed.proxy.metrics.restore_failures.get(ip_family="IPv4") >= 1
    iptables.restore(bed.path, "*nat\n-F MINE\n-X MINE\nCOMMIT\n", bed.variant)
    await bed.change(service("bb"), slice_of("bb", "10.244.1.6"))
    assert '"shop/bb:http cluster IP"' in bed.rules
    assert chain not in bed.rules, "and what was left over has gone"
    bed.proxy.stop()


@VARIANTS
@in_sandbox
async def test_marks_change_with_the_rules_alone(variant: str) -> None:
    path, chosen = netns.create("node-1"), Variant(variant)
    iptables.restore(path, "*nat\n:MINE - [0:0]\n-A MINE -s 10.0.0.1 -j RETURN\n-A MINE -j RETURN\nCOMMIT\n", chosen)
    iptables.restore(path, "*mangle\n:MINE - [0:0]\nCOMMIT\n", chosen)
    marks = RuleMarks(path, chosen)
    first = marks.read()
    iptables.save(path, chosen)
    assert marks.read() == first
    iptables.restore(path, "*nat\n-D MINE 1\nCOMMIT\n", chosen)
    second = marks.read()
    assert second != first
    iptables.restore(path, "*mangle\n-A MINE -j RETURN\nCOMMIT\n", chosen)
    assert marks.read() != second
    marks.close()
