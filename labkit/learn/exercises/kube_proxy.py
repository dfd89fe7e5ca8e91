"""Exercises of the notebooks on kube-proxy."""

from __future__ import annotations

from typing import Any

import yaml

from labkit.learn.exercise import Exercise


def _lots_of_four(answer: Any) -> bool | str:
    """`answer` is a list of four probabilities."""
    try:
        lots = [float(lot) for lot in answer]
    except (TypeError, ValueError):
        return "A list of four numbers is wanted, such as [0.4, 0.3, 0.2, 0.1]."
    if len(lots) != 4:
        return f"There are four rules, one for each pod; you gave {len(lots)} numbers."
    if any(not 0 < lot <= 1 for lot in lots):
        return "A probability lies above 0 and is at most 1."
    if lots[-1] != 1:
        return (
            "A packet that comes as far as the last rule has nowhere else to go, but your last rule lets some pass by."
        )
    left, shares = 1.0, []
    for lot in lots:
        shares.append(left * lot)
        left *= 1 - lot
    if any(abs(share - 0.25) > 0.005 for share in shares):
        return f"The pods would get {', '.join(f'{share:.0%}' for share in shares)} of the connections."
    return True


_SCHEDULERS = {
    "rr": "rr gives each pod its turn, fast or slow, busy or not.",
    "wrr": "wrr knows the weights, but not what is open: a request that takes long counts like a short one.",
    "lc": "lc counts what is open, but not how fast who has them open works.",
    "sh": "sh looks at the client's address and at nothing else.",
    "dh": "dh looks at the Service's address and at nothing else.",
}


def _scheduler(answer: Any) -> bool | str:
    """`answer` is the name of a scheduler."""
    if answer == "wlc":
        return True
    known = isinstance(answer, str) and answer in _SCHEDULERS
    return _SCHEDULERS[answer] if known else 'One of "rr", "wrr", "lc", "wlc", "sh", "dh" is wanted.'


_ANY = ("0.0.0.0", "::", "[::]", "")


def _configuration(answer: Any) -> bool | str:
    """`answer` is a KubeProxyConfiguration, as text or values."""
    try:
        values = yaml.safe_load(answer) if isinstance(answer, str) else answer
    except yaml.YAMLError:
        return "This is no YAML."
    if not isinstance(values, dict) or values.get("kind") != "KubeProxyConfiguration":
        return "A KubeProxyConfiguration is wanted: `kind` says so."
    if values.get("apiVersion") != "kubeproxy.config.k8s.io/v1alpha1":
        return "apiVersion is kubeproxy.config.k8s.io/v1alpha1."
    ipvs = values.get("ipvs")
    metrics = str(values.get("metricsBindAddress", ""))
    checks = (
        (values.get("mode") == "ipvs", f"The mode would be {values.get('mode') or 'iptables'}."),
        (
            isinstance(ipvs, dict) and ipvs.get("scheduler") == "lc",
            "The scheduler would not be lc; its place is in ipvs.",
        ),
        (values.get("clusterCIDR") == "10.100.0.0/16", "Pods in 10.100.0.0/16 would be taken for strangers."),
        (bool(metrics) and metrics.rpartition(":")[0] in _ANY, "Only the node itself could read the metrics."),
    )
    return next((sentence for right, sentence in checks if not right), True)


_LATER = ("iptables", "ipvs", "kernelspace")


def _without_kube_proxy(answer: Any) -> bool | str:
    """`answer` says for each mode whether new connections get through."""
    if not isinstance(answer, dict) or set(answer) != {"userspace", *_LATER}:
        return "Four modes are wanted, each with True or False: userspace, iptables, ipvs, kernelspace."
    if any(not isinstance(value, bool) for value in answer.values()):
        return "True or False is wanted for each mode."
    if answer["userspace"]:
        return "In userspace mode the rule leads to a port at which nobody listens any more."
    wrong = [mode for mode in _LATER if not answer[mode]]
    return f"In {wrong[0]} mode the kernel has all that it needs, and no process is asked." if wrong else True


_ON_THE_WIRE = ("userspace", "iptables", "ipvs", "nftables", "kernelspace")


def _service_address(answer: Any) -> bool | str:
    """`answer` lists modes by name."""
    if not isinstance(answer, list | tuple | set) or not all(isinstance(mode, str) for mode in answer):
        return 'A list of names is wanted, such as ["userspace", "ebpf"].'
    unknown = sorted(set(answer) - {*_ON_THE_WIRE, "ebpf"})
    if unknown:
        return f"There is no mode {unknown[0]!r} among the six."
    if "ebpf" in answer:
        return "With ebpf the socket is connected to the pod before its first packet leaves."
    missing = [mode for mode in _ON_THE_WIRE if mode not in answer]
    return f"In {missing[0]} mode the node translates, so the packet leaves the pod as it was." if missing else True


EXERCISES = (
    Exercise(
        "kube-proxy/lots-of-four",
        "Write the four probabilities from the top rule to the last, as a list.",
        (
            "Each pod should get a quarter of all connections.",
            "The second rule sees only three quarters: which part of that is a quarter of all?",
            "One of four, then one of three that are left, then one of two.",
        ),
        _lots_of_four,
    ),
    Exercise(
        "kube-proxy/scheduler",
        "Write the name of the scheduler.",
        (
            "What you know of the machines is a weight: which two schedulers have a w?",
            "What is open are connections: which two schedulers count them?",
            "One name has both letters.",
        ),
        _scheduler,
    ),
    Exercise(
        "kube-proxy/configuration",
        "Write the KubeProxyConfiguration.",
        (
            "apiVersion kubeproxy.config.k8s.io/v1alpha1, kind KubeProxyConfiguration, and four fields.",
            "The fields are mode, clusterCIDR, metricsBindAddress and ipvs, which has a field scheduler.",
            "0.0.0.0:10249 is every address of the node.",
        ),
        _configuration,
    ),
    Exercise(
        "kube-proxy/without-kube-proxy",
        "Write whether new connections get through, for each of the four modes.",
        (
            "Ask in which mode a packet of the client meets kube-proxy itself.",
            "Rules, virtual servers and load balancers stay in the kernel when the process that wrote them has gone.",
            "In one mode only does a process accept the client's connection.",
        ),
        _without_kube_proxy,
    ),
    Exercise(
        "kube-proxy/service-address-on-the-wire",
        "Write the names of the modes as a list.",
        (
            "Look at the column that says what the client sends to.",
            "The pod's interface comes before everything that the node does.",
            "In one mode only is the address changed before there is a packet.",
        ),
        _service_address,
    ),
)
