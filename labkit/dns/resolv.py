"""A pod's /etc/resolv.conf and /etc/hosts, as the kubelet makes them. Pure.

Sources: kubelet v1.34 pkg/kubelet/network/dns/dns.go (policies, merging, limits) and kubelet_pods.go (hosts file, host
name); containerd's CRI plugin writes the file's lines in the order search, nameserver, options.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from labkit.api.objects import Pod, PodDNSConfig

MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARS = 2048
MAX_SEARCH_LENGTH = 253  # of one domain: longer ones make some resolvers abort
MAX_HOSTNAME = 63
MANAGED = "# Kubernetes-managed hosts file."
MANAGED_HOST_NETWORK = "# Kubernetes-managed hosts file (host network)."


class ResolvConf(msgspec.Struct, frozen=True):
    """The content of a resolv.conf."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def text(self) -> str:
        """As the container runtime writes it: search, nameserver lines, options; empty parts are left out."""
        lines = ["search " + " ".join(self.searches)] if self.searches else []
        lines += [f"nameserver {address}" for address in self.nameservers]
        lines += ["options " + " ".join(self.options)] if self.options else []
        return "".join(line + "\n" for line in lines)


def read(text: str) -> ResolvConf:
    """A resolv.conf as the kubelet reads the node's: nameservers add up, the last search and options lines hold."""
    nameservers: list[str] = []
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    for line in text.splitlines():
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["search", *domains]:
                searches = tuple(domain.removesuffix(".") for domain in domains)
            case ["options", *words]:
                options = tuple(words)
    return ResolvConf(tuple(nameservers), searches, options)


def resolv_conf(pod: Pod, dns_ip: str, cluster_domain: str = "cluster.local", node: str = "") -> ResolvConf:
    """What a pod's resolv.conf holds, by its dnsPolicy and dnsConfig. `node` is the text of the node's own file.

    ClusterFirst in a pod on the host's network means Default: ClusterFirstWithHostNet is the policy that does not.
    """
    host = read(node)
    policy = pod.spec.dns_policy
    if policy == "None":
        base = ResolvConf()
    elif policy == "Default" or (policy == "ClusterFirst" and pod.spec.host_network):
        base = host
    else:
        own = (f"{pod.namespace}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        base = ResolvConf((dns_ip,), _unique((*own, *host.searches)), ("ndots:5",))
    if pod.spec.dns_config:
        base = _merged(base, pod.spec.dns_config)
    return ResolvConf(base.nameservers[:MAX_NAMESERVERS], _fitting(base.searches), base.options)


def hosts(pod: Pod, addresses: Iterable[str], cluster_domain: str = "cluster.local", node: str = "") -> str:
    """The text of a pod's /etc/hosts: its own names, or on the host's network the node's file, then its hostAliases."""
    lines = [MANAGED, "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", "fe00::0\tip6-localnet"]
    lines += ["fe00::0\tip6-mcastprefix", "fe00::1\tip6-allnodes", "fe00::2\tip6-allrouters"]
    if pod.spec.host_network:
        lines = [MANAGED_HOST_NETWORK, *node.splitlines()]
    else:
        name = hostname(pod)
        full = f"{name}.{pod.spec.subdomain}.{pod.namespace}.svc.{cluster_domain}\t" if pod.spec.subdomain else ""
        lines += [f"{address}\t{full}{name}" for address in addresses]
    if pod.spec.host_aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join((alias.ip, *alias.hostnames)) for alias in pod.spec.host_aliases]
    return "".join(line + "\n" for line in lines)


def hostname(pod: Pod) -> str:
    """spec.hostname or the pod's name, cut to 63 octets, and not ending in `-` or `.` then."""
    name = pod.spec.hostname or pod.name
    return name if len(name) <= MAX_HOSTNAME else name[:MAX_HOSTNAME].rstrip("-.")


def _merged(base: ResolvConf, config: PodDNSConfig) -> ResolvConf:
    """The dnsConfig adds nameservers and searches, and overwrites options of the same name."""
    options = {name: value for name, _, value in (option.partition(":") for option in base.options)}
    options |= {option.name: option.value or "" for option in config.options}
    return ResolvConf(
        _unique((*base.nameservers, *config.nameservers)),
        _unique((*base.searches, *config.searches)),
        tuple(f"{name}:{value}" if value else name for name, value in options.items()),
    )


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _fitting(searches: tuple[str, ...]) -> tuple[str, ...]:
    kept = [domain for domain in searches[:MAX_SEARCHES] if len(domain) <= MAX_SEARCH_LENGTH]
    while len(" ".join(kept)) > MAX_SEARCH_CHARS:
        kept.pop()
    return tuple(kept)
