"""Make `fields.json.gz`: the protobuf fields of the kinds that the lab serves, with the names that they have in JSON.

The inputs are a JSON file of Kubernetes' field numbers, taken from the generated.proto files of k8s.io/api and
k8s.io/apimachinery (Apache-2.0), and the definitions that `labkit.api.reduce_schema` reads. Install its package, then:

    python -m labkit.apiserver.protobuf.reduce_fields FILE

    FILE:    {"messages": {"k8s.io.api.core.v1.Pod": {"1": ["metadata", TYPE, "one" | "list" | "map"], …}, …}}
    output:  {"core.v1.Pod": {"1": ["metadata", TYPE, "one" | "list" | "map" | "inline", keep], …}, …}

What is changed: only fields that v1.34 has; embedded Go structs are "inline", as in JSON; the names of well-known types
are short. `keep` says that a zero is a value of its own, for required fields and Go's pointers; others mean "absent".
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import msgspec

from labkit.api.reduce_schema import BODIES, Schema, read_definitions
from labkit.api.resources import ALSO_SERVED, CREATED_ONLY, STORED
from labkit.apiserver.protobuf.fields import FILE, message_of

Fields = dict[str, list[Any]]

API, META = "k8s.io.api.", "k8s.io.apimachinery.pkg.apis."
WELL_KNOWN = {
    "k8s.io.apimachinery.pkg.apis.meta.v1.Time": "time",
    "k8s.io.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
    "k8s.io.apimachinery.pkg.apis.meta.v1.FieldsV1": "json",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "json",
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "quantity",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "intorstring",
    "k8s.io.api.authentication.v1.ExtraValue": "strings",
    "k8s.io.api.authorization.v1.ExtraValue": "strings",
}
EMBEDDED = {"k8s.io.api.core.v1.ProbeHandler": "handler"}
"""The one embedded struct whose field is not named after it."""
NAMES = {"aPIGroup": "apiGroup", "uID": "uid"}

# Go's scalars that are no pointers and may be left out: their zero means that they are absent.
PLAIN = """
readOnly stdin stdinOnce tty chapAuthDiscovery chapAuthSession sslEnabled unschedulable hostNetwork hostPID hostIPC
publishNotReadyAddresses paused globalDefault authenticated denied hostPort signal initialDelaySeconds periodSeconds
timeoutSeconds successThreshold failureThreshold nodePort healthCheckNodePort minReadySeconds partition count start
active succeeded failed number code retryAfterSeconds observedGeneration generation sizeBytes deprecatedCount
updatedNumberScheduled numberAvailable numberUnavailable fullyLabeledReplicas readyReplicas availableReplicas
unavailableReplicas updatedReplicas currentReplicas targetPort
"""
POINTERS = {
    "core.v1.CSIVolumeSource.readOnly",
    "core.v1.ClientIPConfig.timeoutSeconds",
    "apps.v1.RollingUpdateStatefulSetStrategy.partition",
    "autoscaling.v1.HorizontalPodAutoscalerStatus.observedGeneration",
    "autoscaling.v2.HorizontalPodAutoscalerStatus.observedGeneration",
    "storage.v1.VolumeNodeResources.count",
    # Texts: an empty one differs from none.
    "core.v1.PersistentVolumeClaimSpec.storageClassName",
    "core.v1.PersistentVolumeClaimSpec.volumeAttributesClassName",
    "core.v1.TypedLocalObjectReference.apiGroup",
    "core.v1.TypedObjectReference.apiGroup",
    "coordination.v1.LeaseSpec.holderIdentity",
    "discovery.v1.EndpointPort.name",
    "networking.v1.IngressClassParametersReference.apiGroup",
}


def short(name: str) -> str:
    return WELL_KNOWN.get(name) or name.removeprefix(API).removeprefix(META)


def _lower(kind: str) -> str:
    """The name of a field that holds an embedded struct: its type's, which begins small."""
    name = kind.rpartition(".")[2]
    return name[:1].lower() + name[1:]


def keeps(message: str, name: str, kind: str, required: bool) -> bool:
    """Is a zero in this field a value of its own?"""
    if required or f"{message}.{name}" in POINTERS:
        return True
    plain = kind == "string" or name in PLAIN.split() or (name == "replicas" and message.endswith("Status"))
    return not plain


def reduced(message: str, fields: Fields, schema: Schema) -> Fields:
    """A message's fields as JSON has them; `schema` is the definition of the type that they are part of."""
    known, required = schema.get("properties", {}), schema.get("required", ())
    found: Fields = {}
    for number, (written, kind, way) in fields.items():
        name = NAMES.get(written) or str(written)
        if name in known:
            found[number] = [name, short(kind), way, keeps(short(message), name, kind, name in required)]
        elif way == "one" and written in (EMBEDDED.get(kind), _lower(kind)):
            found[number] = ["", short(kind), "inline", False]
    return found


def closure(messages: dict[str, Fields], definitions: dict[str, Schema]) -> dict[str, Fields]:
    """All messages that the served kinds are made of, by short name in order."""
    full = {short(name): name for name in messages if name not in WELL_KNOWN}
    served = {(r.api_version, r.kind) for r in (*STORED, *ALSO_SERVED, *CREATED_ONLY)} | set(BODIES)
    waiting = [(name, "") for version, kind in sorted(served) if (name := message_of(version, kind)) in full]
    found: dict[str, Fields] = {}
    while waiting:
        name, within = waiting.pop()
        if name in found or name not in full:
            continue
        schema = definitions.get("io.k8s." + full[within or name].removeprefix("k8s.io."), {})
        found[name] = reduced(full[name], messages[full[name]], schema)
        for _, kind, way, _ in found[name].values():
            waiting.append((kind, (within or name) if way == "inline" else ""))
    return dict(sorted(found.items()))


def main() -> None:
    messages = msgspec.json.decode(Path(sys.argv[1]).read_bytes())["messages"]
    FILE.write_bytes(gzip.compress(msgspec.json.encode(closure(messages, read_definitions())), 9, mtime=0))


if __name__ == "__main__":
    main()
