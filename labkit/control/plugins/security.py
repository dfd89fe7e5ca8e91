"""PodSecurity: a namespace says by a label how much its pods may do to their node (KEP-2579).

    pod-security.kubernetes.io/enforce: privileged | baseline | restricted

Each check gives the reason and the detail that the server's message names. Workloads are not checked, their pods are;
the labels `warn` and `audit` are left out, as is what only Windows, SELinux and AppArmor have.
Source: k8s.io/pod-security-admission/policy of v1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from labkit.api.problem import Problem
from labkit.control import status
from labkit.control.admission import Admission
from labkit.control.store import Raw, Store

LABEL = "pod-security.kubernetes.io/enforce"
DEFAULT_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
     "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SYSCTLS = frozenset(
    {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
     "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
     "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem",
     "net.ipv4.tcp_wmem"}
)  # fmt: skip
PROFILES = ("RuntimeDefault", "Localhost")

Spec = dict[str, Any]
Check = Callable[[Spec], str]


def register(admission: Admission) -> None:
    store = admission.store
    admission.mutate("Pod", lambda new, old: _enforce(store, new, old))


def violations(spec: Spec, level: str) -> Iterator[str]:
    """What of a pod's spec a level does not allow, as "reason (detail)"."""
    # What "restricted" asks of capabilities takes the place of what "baseline" does.
    stricter = (*(each for each in BASELINE if each[1] is not _capabilities), *RESTRICTED)
    checks = {"baseline": BASELINE, "restricted": stricter}.get(level, ())
    for reason, check in checks:
        if detail := check(spec):
            yield f"{reason} ({detail})"


def _enforce(store: Store, new: Raw, old: Raw | None) -> Iterable[Problem]:
    """Raises Forbidden. An update is checked too, for an image may be changed and an ephemeral container added."""
    metadata = new["metadata"]
    namespace = store.find("Namespace", "", metadata.get("namespace", ""))
    level = (namespace or {}).get("metadata", {}).get("labels", {}).get(LABEL, "privileged")
    if old is not None and old["spec"] == new.get("spec"):
        return ()
    if found := ", ".join(violations(new.get("spec", {}), level)):
        name = metadata.get("name") or metadata.get("generateName", "")
        raise status.forbidden("Pod", name, f'violates PodSecurity "{level}:latest": {found}')
    return ()


def _containers(spec: Spec) -> Iterator[tuple[str, Spec, Spec]]:
    """Name, container and security context of all."""
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            yield container.get("name", ""), container, container.get("securityContext") or {}


def _those(names: list[str], word: str = "container") -> str:
    return f"{word}{'' if len(names) == 1 else 's'} {_quoted(names)}" if names else ""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _must(names: list[str], what: str) -> str:
    return f"{_those(names)} {what}" if names else ""


def _capabilities(spec: Spec) -> str:
    added = {name: set((c.get("capabilities") or {}).get("add") or ()) for name, _, c in _containers(spec)}
    bad = {name: found - DEFAULT_CAPABILITIES for name, found in added.items() if found - DEFAULT_CAPABILITIES}
    listed = _quoted(sorted(set().union(*bad.values())))
    return _must(list(bad), f"must not include {listed} in securityContext.capabilities.add")


def _host_namespaces(spec: Spec) -> str:
    return ", ".join(f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name))


def _host_paths(spec: Spec) -> str:
    return _those([v["name"] for v in spec.get("volumes") or () if v.get("hostPath") is not None], "volume")


def _host_ports(spec: Spec) -> str:
    used = {
        name: [p["hostPort"] for p in c.get("ports") or () if p.get("hostPort")] for name, c, _ in _containers(spec)
    }
    names, ports = (
        [name for name, found in used.items() if found],
        sorted({p for found in used.values() for p in found}),
    )
    verb, noun = "uses" if len(names) == 1 else "use", "hostPort" if len(ports) == 1 else "hostPorts"
    return f"{_those(names)} {verb} {noun} {', '.join(str(port) for port in ports)}" if names else ""


def _privileged(spec: Spec) -> str:
    names = [name for name, _, context in _containers(spec) if context.get("privileged")]
    return _must(names, "must not set securityContext.privileged=true")


def _proc_mount(spec: Spec) -> str:
    names = [name for name, _, context in _containers(spec) if context.get("procMount") not in (None, "Default")]
    return _must(names, 'must not set securityContext.procMount to "Unmasked"')


def _sysctls(spec: Spec) -> str:
    given = [item["name"] for item in (spec.get("securityContext") or {}).get("sysctls") or ()]
    return ", ".join(name for name in given if name not in SYSCTLS)


def _type(context: Spec) -> Any:
    return (context.get("seccompProfile") or {}).get("type")


def _bad_seccomp(spec: Spec) -> str:
    pod = _type(spec.get("securityContext") or {})
    setters = ["pod"] if pod not in (None, *PROFILES) else []
    names = [name for name, _, context in _containers(spec) if _type(context) not in (None, *PROFILES)]
    setters += [_those(names)] if names else []
    return (
        f'{" and ".join(setters)} must not set securityContext.seccompProfile.type to "Unconfined"' if setters else ""
    )


def _escalation(spec: Spec) -> str:
    names = [name for name, _, context in _containers(spec) if context.get("allowPrivilegeEscalation") is not False]
    return _must(names, "must set securityContext.allowPrivilegeEscalation=false")


def _dropped(spec: Spec) -> str:
    caps = {name: context.get("capabilities") or {} for name, _, context in _containers(spec)}
    keeping = [name for name, given in caps.items() if "ALL" not in (given.get("drop") or ())]
    extra = {n: set(given.get("add") or ()) - {"NET_BIND_SERVICE"} for n, given in caps.items()}
    adding = [name for name, found in extra.items() if found]
    listed = _quoted(sorted(set().union(*extra.values())))
    texts = [
        _must(keeping, 'must set securityContext.capabilities.drop=["ALL"]'),
        _must(adding, f"must not include {listed} in securityContext.capabilities.add"),
    ]
    return "; ".join(text for text in texts if text)


def _volumes(spec: Spec) -> str:
    bad = {
        volume["name"]: kind
        for volume in spec.get("volumes") or ()
        for kind, source in volume.items()
        if kind != "name" and source is not None and kind not in VOLUMES
    }
    kinds = sorted(set(bad.values()))
    words = "uses" if len(bad) == 1 else "use", "type" if len(kinds) == 1 else "types"
    return f"{_those(list(bad), 'volume')} {words[0]} restricted volume {words[1]} {_quoted(kinds)}" if bad else ""


def _as_root(spec: Spec) -> str:
    pod = (spec.get("securityContext") or {}).get("runAsNonRoot")
    mine = {name: context.get("runAsNonRoot") for name, _, context in _containers(spec)}
    setters = ["pod"] if pod is False else []
    bad = [name for name, value in mine.items() if value is False]
    setters += [_those(bad)] if bad else []
    if setters:
        return f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
    silent = [name for name, value in mine.items() if value is None and not pod]
    return f"pod or {_must(silent, 'must set securityContext.runAsNonRoot=true')}" if silent else ""


def _user_zero(spec: Spec) -> str:
    setters = ["pod"] if (spec.get("securityContext") or {}).get("runAsUser") == 0 else []
    bad = [name for name, _, context in _containers(spec) if context.get("runAsUser") == 0]
    setters += [_those(bad)] if bad else []
    return f"{' and '.join(setters)} must not set runAsUser=0" if setters else ""


def _no_seccomp(spec: Spec) -> str:
    if _type(spec.get("securityContext") or {}) is not None:
        return ""
    names = [name for name, _, context in _containers(spec) if _type(context) is None]
    text = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"pod or {_must(names, text)}" if names else ""


BASELINE: tuple[tuple[str, Check], ...] = (
    ("non-default capabilities", _capabilities),
    ("host namespaces", _host_namespaces),
    ("hostPath volumes", _host_paths),
    ("hostPort", _host_ports),
    ("privileged", _privileged),
    ("procMount", _proc_mount),
    ("seccompProfile", _bad_seccomp),
    ("forbidden sysctls", _sysctls),
)
RESTRICTED: tuple[tuple[str, Check], ...] = (
    ("allowPrivilegeEscalation != false", _escalation),
    ("unrestricted capabilities", _dropped),
    ("restricted volume types", _volumes),
    ("runAsNonRoot != true", _as_root),
    ("runAsUser=0", _user_zero),
    ("seccompProfile", _no_seccomp),
)
