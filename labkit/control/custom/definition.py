"""What may not stand in a CustomResourceDefinition, and what an update of it may not change.

Source: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go, apihelpers/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from labkit.api.problem import Problem, forbidden, invalid, required, unsupported
from labkit.api.validation import syntax
from labkit.control.custom import openapi, rules, structural
from labkit.control.custom.naming import established

Raw = dict[str, Any]

APPROVAL = "api-approved.kubernetes.io"
MORE = "see https://github.com/kubernetes/enhancements/pull/1111"
SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = "boolean,date,integer,number,string"
COLUMN_FORMATS = "byte,date,date-time,double,float,int32,int64,password"
ROOT_WORDS = (
    "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength MinLength Pattern "
    "MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example XPreserveUnknownFields "
    "XValidations"
)
ROOT_FIELDS = frozenset(word[0].lower() + word[1:] for word in ROOT_WORDS.split()) | {
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"}  # fmt: skip
NO_WEBHOOKS = "webhook conversion is not available in this cluster: serve versions of one shape, with strategy None"


def problems(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """All that is wrong with a definition that has the right shape and its defaults."""
    spec, names = new["spec"], new["spec"]["names"]
    if new["metadata"].get("name") != f"{names['plural']}.{spec['group']}":
        why = 'must be spec.names.plural+"."+spec.group'
        remedy = f"Write {names['plural']}.{spec['group']}."
        yield invalid("metadata.name", new["metadata"].get("name", ""), why, remedy)
    yield from _group(spec["group"])
    if spec["scope"] not in SCOPES:
        yield unsupported("spec.scope", spec["scope"], SCOPES)
    yield from _versions(spec["versions"])
    yield from _names(names)
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield invalid("spec.preserveUnknownFields", True, why, "Remove it.")
    yield from _conversion(spec["conversion"])
    yield from _approval(new, old)
    if old is not None:
        yield from _changes(spec, old)


def _group(group: str) -> Iterator[Problem]:
    if not group:
        yield required("spec.group")
    elif complaints := list(syntax.dns_subdomain(group)):
        yield invalid("spec.group", group, ",".join(complaints), "Write a domain of your own, such as example.com.")
    elif "." not in group:
        why = "should be a domain with at least one dot"
        yield invalid("spec.group", group, why, "Write a domain of your own, such as example.com.")


def _names(names: Raw) -> Iterator[Problem]:
    for field in ("plural", "singular", "kind", "listKind"):
        value = names.get(field, "")
        if not value:
            yield required(f"spec.names.{field}")
        elif complaints := list(syntax.dns1035_label(value.lower() if field.lower().endswith("kind") else value)):
            mixed = "may have mixed case, but should otherwise match: " if field.lower().endswith("kind") else ""
            yield invalid(f"spec.names.{field}", value, mixed + ",".join(complaints), "Choose another name.")
    for field in ("shortNames", "categories"):
        for index, value in enumerate(names.get(field) or []):
            if complaints := list(syntax.dns1035_label(value)):
                yield invalid(f"spec.names.{field}[{index}]", value, ",".join(complaints), "Choose another name.")
    if names.get("kind") and names["kind"] == names.get("listKind"):
        why = "kind and listKind may not be the same"
        yield invalid("spec.names.listKind", names["listKind"], why, "Leave listKind out.")


def _versions(versions: list[Raw]) -> Iterator[Problem]:
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        if complaints := list(syntax.dns1035_label(version["name"])):
            yield invalid(f"{path}.name", version["name"], ",".join(complaints), "Write it like v1 or v1beta1.")
        yield from _version(version, path)
    names = [version["name"] for version in versions]
    if len(set(names)) < len(names):
        yield invalid("spec.versions", names, "must contain unique version names", "Remove one of the two.")
    if sum(bool(version["storage"]) for version in versions) != 1:
        why = "must have exactly one version marked as storage version"
        yield invalid("spec.versions", names, why, "Set storage: true in one version.")


def _version(version: Raw, path: str) -> Iterator[Problem]:
    warning = version.get("deprecationWarning")
    if warning is not None and not version.get("deprecated"):
        why = "can only be set for deprecated versions"
        yield invalid(f"{path}.deprecationWarning", warning, why, "Set deprecated: true, or remove it.")
    elif warning is not None and not 0 < len(warning) <= 256:
        why = "must be <= 256 characters long" if warning else "must not be an empty string"
        yield invalid(f"{path}.deprecationWarning", warning, why, "Shorten it, or write some.")
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if schema is None:
        yield required(f"{path}.schema.openAPIV3Schema", remedy="Add a schema with type: object.")
    else:
        yield from _schema(schema, f"{path}.schema.openAPIV3Schema", "status" in (version.get("subresources") or {}))
    yield from _scale((version.get("subresources") or {}).get("scale"), f"{path}.subresources.scale")
    for index, column in enumerate(version.get("additionalPrinterColumns") or []):
        yield from _column(column, f"{path}.additionalPrinterColumns[{index}]")
    for index, field in enumerate(version.get("selectableFields") or []):
        yield from _selectable(field.get("jsonPath", ""), schema or {}, f"{path}.selectableFields[{index}].jsonPath")


def _schema(schema: Raw, path: str, has_status: bool) -> Iterator[Problem]:
    if has_status and not set(schema) <= ROOT_FIELDS:
        listed = " ".join(ROOT_WORDS.split())
        why = f"only [{listed}] fields are allowed at the root of the schema if the status subresource is enabled"
        yield invalid(path, sorted(set(schema) - ROOT_FIELDS), why, "Move it below properties.")
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    found = [*structural.problems(schema, path), *openapi.problems(schema, path)]
    yield from found
    if not found:  # rules are compiled only where the shape makes sense
        yield from rules.faults(schema, path)


def _column(column: Raw, path: str) -> Iterator[Problem]:
    if column["type"] not in COLUMN_TYPES.split(","):
        yield invalid(f"{path}.type", column["type"], f"must be one of {COLUMN_TYPES}", "Choose one of these.")
    if column.get("format") and column["format"] not in COLUMN_FORMATS.split(","):
        yield invalid(f"{path}.format", column["format"], f"must be one of {COLUMN_FORMATS}", "Choose one of these.")
    if not column["jsonPath"]:
        yield required(f"{path}.JSONPath")
    else:
        yield from _json_path(column["jsonPath"], f"{path}.JSONPath")


def _json_path(text: str, path: str) -> Iterator[Problem]:
    if not text.startswith("."):
        yield invalid(path, text, "must be a simple json path starting with .", "Write it like .spec.replicas.")


def _scale(scale: Raw | None, path: str) -> Iterator[Problem]:
    if scale is None:
        return
    for field, roots, why in (
        ("specReplicasPath", (".spec.",), "should be a json path under .spec"),
        ("statusReplicasPath", (".status.",), "should be a json path under .status"),
        ("labelSelectorPath", (".spec.", ".status."), "should be a json path under either .spec or .status"),
    ):
        text, where = scale.get(field), f"{path}.{field}"
        if not text:
            if field != "labelSelectorPath":
                yield required(where)
        elif faults := list(_json_path(text, where)):
            yield from faults
        elif not text.startswith(roots):
            yield invalid(where, text, why, f"Write it like {roots[0]}replicas.")


def _selectable(text: str, schema: Raw, path: str) -> Iterator[Problem]:
    if not text:
        yield required(path)
        return
    steps = text.removeprefix(".").split(".")
    found: Any = schema
    for step in steps:
        found = (found.get("properties") or {}).get(step) if isinstance(found, dict) else None
    if found is None:
        yield invalid(path, text, "is an invalid path: does not refer to a valid field", "Name a field of the schema.")
    elif steps[0] == "metadata":
        yield invalid(path, text, "must not point to fields in metadata", "Remove it: these are selectable anyway.")
    elif found.get("type") not in ("string", "boolean", "integer"):
        why = (
            "must point to a field of type string, boolean or integer. "
            "Enum string fields and strings with formats are allowed."
        )
        yield invalid(path, text, why, "Name another field.")


def _conversion(conversion: Raw) -> Iterator[Problem]:
    if conversion["strategy"] not in ("None", "Webhook"):
        yield unsupported("spec.conversion.strategy", conversion["strategy"], ("None", "Webhook"))
    elif conversion["strategy"] == "Webhook":
        yield forbidden("spec.conversion.strategy", NO_WEBHOOKS, "Write strategy: None.")
    elif conversion.get("webhook") is not None:
        yield forbidden("spec.conversion.webhookClientConfig", "should not be set when strategy is not set to Webhook")


def _approval(new: Raw, old: Raw | None) -> Iterator[Problem]:
    """Groups of Kubernetes' own domains say who approved them."""
    group = f".{new['spec']['group']}"
    if not group.endswith((".k8s.io", ".kubernetes.io")):
        return
    given = new["metadata"].get("annotations", {}).get(APPROVAL, "")
    if old is not None and given == old["metadata"].get("annotations", {}).get(APPROVAL, ""):
        return
    path, why = f"metadata.annotations[{APPROVAL}]", f'protected groups must have approval annotation "{APPROVAL}"'
    remedy = "Choose a group of your own domain."
    if not given:
        yield required(path, f"{why}, {MORE}", remedy)
    elif not given.startswith("unapproved") and not _is_url(given):
        why = f'{why} with either a URL or a reason starting with "unapproved", {MORE}'
        yield invalid(path, given, why, remedy)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _changes(spec: Raw, old: Raw) -> Iterator[Problem]:
    """What stays: for storage, once it is served, and because it is in the name."""
    paths = [("group",), ("names", "plural")]
    if established(old):
        paths += [("scope",), ("names", "kind")]
    for path in paths:
        now: Any = spec
        then: Any = old["spec"]
        for name in path:
            now, then = now[name], then[name]
        if now != then:
            remedy = "Delete the definition, and all its objects with it, and create it anew."
            yield invalid(f"spec.{'.'.join(path)}", now, "field is immutable", remedy)
    stored = old.get("status", {}).get("storedVersions", [])
    left = {version["name"] for version in spec["versions"]}
    for index, name in enumerate(stored):
        if name not in left:
            why = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {name} and removes "
                f"{name} from status.storedVersions"
            )
            yield invalid(f"status.storedVersions[{index}]", name, why, "Keep the version, with served: false.")
