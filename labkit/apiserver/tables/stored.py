"""The tables of configuration, access and storage: ConfigMaps, Secrets, accounts, bindings, volumes, classes.

Source: pkg/printers/internalversion/printers.go; pkg/apis/core/helper (access modes), pkg/apis/rbac (subjects).
"""

from __future__ import annotations

from typing import Any

from labkit.apiserver.tables.columns import AGE, NAME, Column, Printer, View, wide
from labkit.apiserver.tables.human import since
from labkit.apiserver.tables.words import UNSET

Raw = dict[str, Any]
CLASS = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _age(o: Raw, view: View) -> str:
    return since(o["metadata"].get("creationTimestamp"), view.now)


def _config_map(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], len(o.get("data") or ()) + len(o.get("binaryData") or ()), _age(o, view)]


def _secret(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], o.get("type", "Opaque"), len(o.get("data") or ()), _age(o, view)]


def _account(o: Raw, view: View) -> list[Any]:
    return [o["metadata"]["name"], _age(o, view)]


def _binding(o: Raw, view: View) -> list[Any]:
    role, subjects = o["roleRef"], o.get("subjects") or ()
    users, groups = (", ".join(s["name"] for s in subjects if s.get("kind") == kind) for kind in ("User", "Group"))
    accounts = [f"{s.get('namespace', '')}/{s['name']}" for s in subjects if s.get("kind") == "ServiceAccount"]
    return [o["metadata"]["name"], f"{role['kind']}/{role['name']}", _age(o, view), users, groups, ", ".join(accounts)]


def _volume(o: Raw, view: View) -> list[Any]:
    meta, spec, status = o["metadata"], o.get("spec") or {}, o.get("status") or {}
    claim = spec.get("claimRef")
    return [
        meta["name"],
        (spec.get("capacity") or {}).get("storage", "0"),
        _modes(spec),
        spec.get("persistentVolumeReclaimPolicy", "Retain"),
        "Terminating" if meta.get("deletionTimestamp") else status.get("phase", ""),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(meta, spec),
        spec.get("volumeAttributesClassName", UNSET),
        status.get("reason", ""),
        _age(o, view),
        spec.get("volumeMode", UNSET),
    ]


def _claim(o: Raw, view: View) -> list[Any]:
    meta, spec, status = o["metadata"], o.get("spec") or {}, o.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        meta["name"],
        "Terminating" if meta.get("deletionTimestamp") else status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "0") if bound else "",
        _modes(status) if bound else "",
        _class(meta, spec),
        spec.get("volumeAttributesClassName", UNSET),
        _age(o, view),
        spec.get("volumeMode", UNSET),
    ]


def _modes(of: Raw) -> str:
    modes = of.get("accessModes") or ()
    return ",".join(short for mode, short in MODES.items() if mode in modes)


def _class(meta: Raw, spec: Raw) -> str:
    named = (meta.get("annotations") or {}).get(CLASS)
    return str(named if named is not None else spec.get("storageClassName", ""))


def _storage_class(o: Raw, view: View) -> list[Any]:
    notes = o["metadata"].get("annotations") or {}
    default = any(notes.get(key) == "true" for key in DEFAULT_CLASS)
    return [
        o["metadata"]["name"] + (" (default)" if default else ""),
        o.get("provisioner", ""),
        o.get("reclaimPolicy", "Delete"),
        o.get("volumeBindingMode", "Immediate"),
        bool(o.get("allowVolumeExpansion")),
        _age(o, view),
    ]


def _bindings(name: str, title: str) -> Printer:
    texts = [wide(what, text=f"{what} in the {title}") for what in ("Users", "Groups", "ServiceAccounts")]
    return Printer((NAME, Column("Role", f"rbac.v1.{name}.roleRef"), AGE, *texts), _binding)


VOLUME = (
    NAME,
    Column("Capacity", "core.v1.PersistentVolumeSpec.capacity"),
    Column("Access Modes", "core.v1.PersistentVolumeSpec.accessModes"),
    Column("Reclaim Policy", "core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy"),
    Column("Status", "core.v1.PersistentVolumeStatus.phase"),
    Column("Claim", "core.v1.PersistentVolumeSpec.claimRef"),
    Column("StorageClass", text="StorageClass of the pv"),
    Column("VolumeAttributesClass", text="VolumeAttributesClass of the pv"),
    Column("Reason", "core.v1.PersistentVolumeStatus.reason"),
    AGE,
    wide("VolumeMode", "core.v1.PersistentVolumeSpec.volumeMode"),
)
CLAIM = (
    NAME,
    Column("Status", "core.v1.PersistentVolumeClaimStatus.phase"),
    Column("Volume", "core.v1.PersistentVolumeClaimSpec.volumeName"),
    Column("Capacity", "core.v1.PersistentVolumeClaimStatus.capacity"),
    Column("Access Modes", "core.v1.PersistentVolumeClaimStatus.accessModes"),
    Column("StorageClass", text="StorageClass of the pvc"),
    Column("VolumeAttributesClass", text="VolumeAttributesClass of the pvc"),
    AGE,
    wide("VolumeMode", "core.v1.PersistentVolumeClaimSpec.volumeMode"),
)
STORAGE_CLASS = (
    NAME,
    Column("Provisioner", "storage.v1.StorageClass.provisioner"),
    Column("ReclaimPolicy", "storage.v1.StorageClass.reclaimPolicy"),
    Column("VolumeBindingMode", "storage.v1.StorageClass.volumeBindingMode"),
    Column("AllowVolumeExpansion", "storage.v1.StorageClass.allowVolumeExpansion"),
    AGE,
)

PRINTERS = {
    "ConfigMap": Printer((NAME, Column("Data", "core.v1.ConfigMap.data"), AGE), _config_map),
    "Secret": Printer(
        (NAME, Column("Type", "core.v1.Secret.type"), Column("Data", "core.v1.Secret.data"), AGE), _secret
    ),
    "ServiceAccount": Printer((NAME, AGE), _account),
    "RoleBinding": _bindings("RoleBinding", "roleBinding"),
    "ClusterRoleBinding": _bindings("ClusterRoleBinding", "clusterRoleBinding"),
    "PersistentVolume": Printer(VOLUME, _volume),
    "PersistentVolumeClaim": Printer(CLAIM, _claim),
    "StorageClass": Printer(STORAGE_CLASS, _storage_class),
}
