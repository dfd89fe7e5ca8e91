"""The messages with which an API is extended: CustomResourceDefinitions and APIServices.

They are in no generated.proto of k8s.io/api, and have what no other message has: schemas within schemas, and fields
that hold one of two things. Source: k8s.io/apiextensions-apiserver and k8s.io/kube-aggregator, generated.proto.
"""

from __future__ import annotations

from typing import Literal

from labkit.apiserver.protobuf.message import Field, Message

EXTENSIONS, REGISTRATION = "apiextensions.v1.", "apiregistration.v1."
SCHEMA = EXTENSIONS + "JSONSchemaProps"
CHOICES = {SCHEMA + "OrArray": "array", SCHEMA + "OrBool": "allows", SCHEMA + "OrStringArray": "array"}
"""Messages that stand for one of two values: the schema that they hold, or else this field's value."""


def _one(name: str, kind: str = "string", keep: bool = False) -> Field:
    return Field(name, kind, "one", keep)


def _many(name: str, kind: str = "string", way: Literal["list", "map"] = "list") -> Field:
    return Field(name, kind, way, False)


def _condition() -> Message:
    texts = {number: _one(name, keep=number < 3) for number, name in ((1, "type"), (2, "status"))}
    return {**texts, 3: _one("lastTransitionTime", "time"), 4: _one("reason"), 5: _one("message")}


def _texts(*names: str) -> Message:
    return {number: _one(name) for number, name in enumerate(names, 1)}


NAMES: Message = {
    1: _one("plural", keep=True),
    2: _one("singular"),
    3: _many("shortNames"),
    4: _one("kind", keep=True),
    5: _one("listKind"),
    6: _many("categories"),
}
VERSION: Message = {
    1: _one("name", keep=True),
    2: _one("served", "bool", keep=True),
    3: _one("storage", "bool", keep=True),
    4: _one("schema", EXTENSIONS + "CustomResourceValidation"),
    5: _one("subresources", EXTENSIONS + "CustomResourceSubresources"),
    6: _many("additionalPrinterColumns", EXTENSIONS + "CustomResourceColumnDefinition"),
    7: _one("deprecated", "bool"),
    8: _one("deprecationWarning"),
    9: _many("selectableFields", EXTENSIONS + "SelectableField"),
}
PROPS: Message = {
    **_texts("id", "$schema", "$ref", "description", "type", "format", "title"),
    8: _one("default", "json", keep=True),
    9: _one("maximum", "double", keep=True),
    10: _one("exclusiveMaximum", "bool"),
    11: _one("minimum", "double", keep=True),
    12: _one("exclusiveMinimum", "bool"),
    **{number: _one(name, "int64", keep=True) for number, name in ((13, "maxLength"), (14, "minLength"))},
    15: _one("pattern"),
    **{number: _one(name, "int64", keep=True) for number, name in ((16, "maxItems"), (17, "minItems"))},
    18: _one("uniqueItems", "bool"),
    19: _one("multipleOf", "double", keep=True),
    20: _many("enum", "json"),
    **{number: _one(name, "int64", keep=True) for number, name in ((21, "maxProperties"), (22, "minProperties"))},
    23: _many("required"),
    24: _one("items", SCHEMA + "OrArray"),
    **{number: _many(name, SCHEMA) for number, name in ((25, "allOf"), (26, "oneOf"), (27, "anyOf"))},
    28: _one("not", SCHEMA),
    29: _many("properties", SCHEMA, "map"),
    30: _one("additionalProperties", SCHEMA + "OrBool", keep=True),
    31: _many("patternProperties", SCHEMA, "map"),
    32: _many("dependencies", SCHEMA + "OrStringArray", "map"),
    33: _one("additionalItems", SCHEMA + "OrBool", keep=True),
    34: _many("definitions", SCHEMA, "map"),
    35: _one("externalDocs", EXTENSIONS + "ExternalDocumentation"),
    36: _one("example", "json", keep=True),
    37: _one("nullable", "bool"),
    38: _one("x-kubernetes-preserve-unknown-fields", "bool", keep=True),
    39: _one("x-kubernetes-embedded-resource", "bool"),
    40: _one("x-kubernetes-int-or-string", "bool"),
    41: _many("x-kubernetes-list-map-keys"),
    42: _one("x-kubernetes-list-type"),
    43: _one("x-kubernetes-map-type"),
    44: _many("x-kubernetes-validations", EXTENSIONS + "ValidationRule"),
}
RULE: Message = {
    1: _one("rule", keep=True),
    2: _one("message"),
    3: _one("messageExpression"),
    4: _one("reason"),
    5: _one("fieldPath"),
    6: _one("optionalOldSelf", "bool", keep=True),
}
COLUMN: Message = {
    1: _one("name", keep=True),
    2: _one("type", keep=True),
    3: _one("format"),
    4: _one("description"),
    5: _one("priority", "int32"),
    6: _one("jsonPath", keep=True),
}
DEFINITION: Message = {
    1: _one("group", keep=True),
    3: _one("names", EXTENSIONS + "CustomResourceDefinitionNames"),
    4: _one("scope", keep=True),
    7: _many("versions", EXTENSIONS + "CustomResourceDefinitionVersion"),
    9: _one("conversion", EXTENSIONS + "CustomResourceConversion"),
    10: _one("preserveUnknownFields", "bool"),
}
SERVICE: Message = {
    1: _one("namespace", keep=True),
    2: _one("name", keep=True),
    3: _one("path"),
    4: _one("port", "int32"),
}

_EXTENSIONS: dict[str, Message] = {
    "CustomResourceDefinition": {
        1: _one("metadata", "meta.v1.ObjectMeta"),
        2: _one("spec", EXTENSIONS + "CustomResourceDefinitionSpec"),
        3: _one("status", EXTENSIONS + "CustomResourceDefinitionStatus"),
    },
    "CustomResourceDefinitionSpec": DEFINITION,
    "CustomResourceDefinitionNames": NAMES,
    "CustomResourceDefinitionVersion": VERSION,
    "CustomResourceValidation": {1: _one("openAPIV3Schema", SCHEMA)},
    "CustomResourceSubresources": {
        1: _one("status", EXTENSIONS + "CustomResourceSubresourceStatus"),
        2: _one("scale", EXTENSIONS + "CustomResourceSubresourceScale"),
    },
    "CustomResourceSubresourceStatus": {},
    "CustomResourceSubresourceScale": {
        1: _one("specReplicasPath", keep=True), 2: _one("statusReplicasPath", keep=True),
        3: _one("labelSelectorPath"),
    },
    "CustomResourceColumnDefinition": COLUMN,
    "SelectableField": {1: _one("jsonPath", keep=True)},
    "CustomResourceConversion": {1: _one("strategy", keep=True), 2: _one("webhook", EXTENSIONS + "WebhookConversion")},
    "WebhookConversion": {
        2: _one("clientConfig", EXTENSIONS + "WebhookClientConfig"),
        3: _many("conversionReviewVersions"),
    },
    "WebhookClientConfig": {
        1: _one("service", EXTENSIONS + "ServiceReference"), 2: _one("caBundle", "bytes"), 3: _one("url"),
    },
    "ServiceReference": SERVICE,
    "JSONSchemaProps": PROPS,
    "JSONSchemaPropsOrArray": {1: _one("schema", SCHEMA), 2: _many("array", SCHEMA)},
    "JSONSchemaPropsOrBool": {1: _one("allows", "bool", keep=True), 2: _one("schema", SCHEMA)},
    "JSONSchemaPropsOrStringArray": {1: _one("schema", SCHEMA), 2: _many("array")},
    "ExternalDocumentation": _texts("description", "url"),
    "ValidationRule": RULE,
    "CustomResourceDefinitionStatus": {
        1: _many("conditions", EXTENSIONS + "CustomResourceDefinitionCondition"),
        2: _one("acceptedNames", EXTENSIONS + "CustomResourceDefinitionNames"),
        3: _many("storedVersions"),
    },
    "CustomResourceDefinitionCondition": _condition(),
}  # fmt: skip
_REGISTRATION: dict[str, Message] = {
    "APIService": {
        1: _one("metadata", "meta.v1.ObjectMeta"),
        2: _one("spec", REGISTRATION + "APIServiceSpec"),
        3: _one("status", REGISTRATION + "APIServiceStatus"),
    },
    "APIServiceSpec": {
        1: _one("service", REGISTRATION + "ServiceReference"),
        2: _one("group"),
        3: _one("version"),
        4: _one("insecureSkipTLSVerify", "bool"),
        5: _one("caBundle", "bytes"),
        7: _one("groupPriorityMinimum", "int32", keep=True),
        8: _one("versionPriority", "int32", keep=True),
    },
    "ServiceReference": {1: _one("namespace"), 2: _one("name"), 3: _one("port", "int32")},
    "APIServiceStatus": {1: _many("conditions", REGISTRATION + "APIServiceCondition")},
    "APIServiceCondition": _condition(),
}

MESSAGES: dict[str, Message] = {
    **{EXTENSIONS + name: message for name, message in _EXTENSIONS.items()},
    **{REGISTRATION + name: message for name, message in _REGISTRATION.items()},
}
