"""Mininet's hosts, switches, links and interfaces, speaking netlink: the data centre below the cluster.

Mininet's own classes start a shell in every node and run `ifconfig` in it, five milliseconds a link. These keep its
model and its words (Topo, addHost, cmd, the CLI) and start a node's shell when `cmd()` is first called. Nothing else in
the lab imports Mininet.
"""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

from labkit.errors import LabError
from labkit.linux import netns
from labkit.linux.rtnetlink import Links


def _distutils() -> None:
    """Mininet imports StrictVersion, which Python dropped in 3.12, and uses it for Open vSwitch only.

    Setuptools has a copy that takes 200 ms to import: this is instead of both.
    """
    version = ModuleType("distutils.version")
    version.StrictVersion = lambda text: tuple(int(n) for n in text.split("."))  # type: ignore[attr-defined]
    package = ModuleType("distutils")
    package.version = version  # type: ignore[attr-defined]
    before = {name: sys.modules.get(name) for name in ("distutils", "distutils.version")}
    sys.modules.update({"distutils": package, "distutils.version": version})
    try:
        import mininet.node  # noqa: F401 - for its import alone
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


_distutils()

from mininet.link import Intf, Link, TCIntf  # noqa: E402 - after the shim
from mininet.net import Mininet  # noqa: E402
from mininet.node import Node  # noqa: E402
from mininet.nodelib import LinuxBridge  # noqa: E402
from mininet.topo import Topo  # noqa: E402

Mininet.inited = True  # its initialisation raises the host's limits: the lab has nothing of the host's to touch

__all__ = ["LabHost", "LabIntf", "LabLink", "LabSwitch", "Topo", "Underlay"]

SHAPING = ("bw", "delay", "jitter", "loss", "max_queue_size")
SWITCH_PORT_INDEX = 100  # a port's number in its namespace starts here: it must differ from the far end's


class _LabNode(Node):  # type: ignore[misc]  # mininet has no types
    """A node that is its network namespace, bound at /run/netns/NAME; its shell starts with the first command."""

    isSetup = True  # noqa: N815 - Mininet's name; nothing to check: mnexec is needed for a shell only

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802 - Mininet's name
        self.netns = netns.create(self.name)
        if self.params.get("ipv6"):
            netns.skip_detection(self.netns)
        self.links = Links(self.netns)
        self.links.set_link("lo", up=True)

    def cmd(self, *args: Any, **kwargs: Any) -> Any:
        self._need_shell()
        return super().cmd(*args, **kwargs)

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        self._need_shell()
        super().sendCmd(*args, **kwargs)

    def popen(self, *args: Any, **kwargs: Any) -> Any:
        self._need_shell()
        return super().popen(*args, **kwargs)

    def _need_shell(self) -> None:
        if self.shell is None:
            self.inNamespace = False  # mnexec need not make a namespace: the shell is born in this node's
            with netns.entered(self.netns):
                Node.startShell(self)
            self.inNamespace = True

    def defaultIntf(self) -> Any:  # noqa: N802
        return self.intfs[min(self.intfs)] if self.intfs else None

    def setDefaultRoute(self, intf: Any = None) -> None:  # noqa: N802
        """Mininet's forms: an interface, or "via ADDRESS"."""
        words = str(intf).split()
        if words[0] == "via":
            self.links.add_route("default", via=words[1])
        else:
            self.links.add_route("default", dev=words[-1])

    def config(
        self,
        mac: str | None = None,
        ip: str | None = None,
        defaultRoute: str | None = None,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """As Mininet's, without its `ifconfig lo up`."""
        done: dict[str, Any] = {}
        self.setParam(done, "setMAC", mac=mac)
        self.setParam(done, "setIP", ip=ip)
        self.setParam(done, "setDefaultRoute", defaultRoute=defaultRoute)
        return done

    def terminate(self) -> None:
        super().terminate()
        if self.netns:  # Mininet.stop() ends a switch twice
            self.links.close()
            netns.delete(self.netns)
            self.netns = ""


class LabHost(_LabNode):
    """A machine of the data centre: a cluster node, the router, the client outside. `ipv6=True`: it will speak that."""


class LabSwitch(_LabNode, LinuxBridge):  # type: ignore[misc]
    """A zone's switch: a Linux bridge in a namespace of its own."""

    def __init__(self, name: str, **params: Any) -> None:
        params["inNamespace"] = True
        LinuxBridge.__init__(self, name, dpid=f"{LinuxBridge.nextPrio:x}", **params)

    def connected(self) -> bool:
        return True

    def start(self, _controllers: Any) -> None:
        self.links.add_link(self.name, "bridge", up=True)
        bridge = self.links.index(self.name)
        with self.links.batch():
            for intf in self.intfList():
                self.links.set_link(intf.name, master=bridge)

    def stop(self, deleteIntfs: bool = True) -> None:  # noqa: N803
        Node.stop(self, deleteIntfs)


class LabIntf(TCIntf):  # type: ignore[misc]
    """An interface set up by netlink; bandwidth, delay and loss by `tc`, as Mininet's."""

    name: str

    def config(self, mac: str | None = None, ip: str | None = None, up: bool = True, **params: Any) -> dict[str, Any]:
        done: dict[str, Any] = Intf.config(self, mac=mac, ip=ip, up=up)
        wanted = {k: v for k, v in params.items() if k in SHAPING and v is not None}
        if wanted:
            done.update(TCIntf.config(self, up=None, **wanted))
        return done

    def tc(self, cmd: str, tc: str = "tc") -> str:
        """Run one of Mininet's `tc` commands. Raises `LabError`: Mininet would go on with a link of another kind."""
        words = (cmd % (tc, self.name)).split()
        run = self._run(words)
        if run.returncode and "add" in words:
            raise LabError(f"{' '.join(words)} on {self.node.name} failed: {run.stderr.strip()}")
        return run.stdout

    def cmd(self, *args: Any, **_: Any) -> str:
        """Run a command in the node's namespace without a shell. Offload settings (`ethtool`) are left as they are."""
        words = " ".join(str(a) for a in args).split()
        if words[0] == "ethtool":
            return ""
        run = self._run(words)
        return run.stdout if run.returncode == 0 else run.stdout + run.stderr

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        with netns.entered(self.node.netns):
            return subprocess.run(words, capture_output=True, text=True)

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> None:  # noqa: N802, N803
        address = ipstr if "/" in ipstr else f"{ipstr}/{prefixLen}"
        self.ip, self.prefixLen = address.split("/")
        self.node.links.add_address(self.name, address)

    def setMAC(self, macstr: str) -> None:  # noqa: N802
        self.mac = macstr
        self.node.links.set_link(self.name, mac=macstr)

    def isUp(self, setUp: bool = False) -> bool:  # noqa: N802
        if setUp:
            self.node.links.set_link(self.name, up=True)
        return any(link["name"] == self.name and link["up"] for link in self.node.links.links())

    def rename(self, newname: str) -> None:
        self.node.nameToIntf[newname] = self.node.nameToIntf.pop(self.name)
        self.node.links.set_link(self.name, rename=newname)
        self.name = newname

    def delete(self) -> None:
        self.node.links.delete_link(self.name)
        self.node.delIntf(self)
        self.link = None


class LabLink(Link):  # type: ignore[misc]
    """A veth pair between two nodes, made where its ends belong. Both names are given or Mininet's (`s-a-eth1`)."""

    intf1: Any
    intf2: Any

    @classmethod
    def makeIntfPair(  # noqa: N802
        cls,
        intfname1: str,
        intfname2: str,
        addr1: str | None = None,
        addr2: str | None = None,
        node1: Any = None,
        node2: Any = None,
        deleteIntfs: bool = True,  # noqa: N803
    ) -> None:
        index = SWITCH_PORT_INDEX + len(node2.intfs)
        node2.links.add_veth(intfname2, intfname1, node1.netns, index=index, mac=addr2 or "", peer_mac=addr1 or "")

    def delete(self) -> None:
        self.intf1.delete()  # its peer goes with it
        self.intf2.node.delIntf(self.intf2)
        self.intf1 = self.intf2 = None


class Underlay(Mininet):  # type: ignore[misc]
    """A Mininet network of the classes above."""

    def __init__(self, topo: Topo) -> None:
        super().__init__(topo, switch=LabSwitch, host=LabHost, link=LabLink, intf=LabIntf, controller=None, build=False)
