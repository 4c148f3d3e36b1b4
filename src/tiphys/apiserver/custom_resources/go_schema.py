"""Versions of a definition and their schemas as upstream's messages show them.

Go's JSON of the internal structs: their names and order, and what nobody set.
Upstream: apiextensions-apiserver pkg/apis/apiextensions (types.go, types_jsonschema.go); recorded
messages.
"""

from collections.abc import Callable
from typing import Any, Final

from tiphys.api.meta import Obj


def _plain(value: Any) -> Any:
    return value


def _schemas(values: Any) -> Any:
    return [go_schema(one) for one in values]


def _by_name(values: Any) -> Any:
    return {name: go_schema(values[name]) for name in sorted(values)}


def _items(value: Any) -> Any:
    if isinstance(value, list):
        return {"Schema": None, "JSONSchemas": _schemas(value)}
    return {"Schema": go_schema(value), "JSONSchemas": None}


def _or_bool(value: Any) -> Any:
    is_schema = isinstance(value, dict)
    return {"Allows": is_schema or value, "Schema": go_schema(value) if is_schema else None}


def _dependencies(values: Any) -> Any:
    return {name: _dependency(one) for name, one in sorted(values.items())}


def _dependency(value: Any) -> Any:
    """A schema or names of fields. Null is neither: JSONSchemaPropsOrStringArray takes it so."""
    is_schema = isinstance(value, dict)
    return {
        "Schema": go_schema(value) if is_schema else None,
        "Property": None if is_schema else value,
    }


def _documents(value: Any) -> Any:
    return {"Description": value.get("description", ""), "URL": value.get("url", "")}


def _rules(values: Any) -> Any:
    return [go_rule(rule) for rule in values]


_Form = Callable[[Any], Any]
# Field of the struct -> its name in JSON, what it is when nobody set it, how it is shown.
_FIELDS: Final[dict[str, tuple[str, Any, _Form]]] = {
    "ID": ("id", "", _plain),
    "Schema": ("$schema", "", _plain),
    "Ref": ("$ref", None, _plain),
    "Description": ("description", "", _plain),
    "Type": ("type", "", _plain),
    "Nullable": ("nullable", False, _plain),
    "Format": ("format", "", _plain),
    "Title": ("title", "", _plain),
    "Default": ("default", None, _plain),
    "Maximum": ("maximum", None, _plain),
    "ExclusiveMaximum": ("exclusiveMaximum", False, _plain),
    "Minimum": ("minimum", None, _plain),
    "ExclusiveMinimum": ("exclusiveMinimum", False, _plain),
    "MaxLength": ("maxLength", None, _plain),
    "MinLength": ("minLength", None, _plain),
    "Pattern": ("pattern", "", _plain),
    "MaxItems": ("maxItems", None, _plain),
    "MinItems": ("minItems", None, _plain),
    "UniqueItems": ("uniqueItems", False, _plain),
    "MultipleOf": ("multipleOf", None, _plain),
    "Enum": ("enum", None, _plain),
    "MaxProperties": ("maxProperties", None, _plain),
    "MinProperties": ("minProperties", None, _plain),
    "Required": ("required", None, _plain),
    "Items": ("items", None, _items),
    "AllOf": ("allOf", None, _schemas),
    "OneOf": ("oneOf", None, _schemas),
    "AnyOf": ("anyOf", None, _schemas),
    "Not": ("not", None, lambda value: go_schema(value)),
    "Properties": ("properties", None, _by_name),
    "AdditionalProperties": ("additionalProperties", None, _or_bool),
    "PatternProperties": ("patternProperties", None, _by_name),
    "Dependencies": ("dependencies", None, _dependencies),
    "AdditionalItems": ("additionalItems", None, _or_bool),
    "Definitions": ("definitions", None, _by_name),
    "ExternalDocs": ("externalDocs", None, _documents),
    "Example": ("example", None, _plain),
    "XPreserveUnknownFields": ("x-kubernetes-preserve-unknown-fields", None, _plain),
    "XEmbeddedResource": ("x-kubernetes-embedded-resource", False, _plain),
    "XIntOrString": ("x-kubernetes-int-or-string", False, _plain),
    "XListMapKeys": ("x-kubernetes-list-map-keys", None, _plain),
    "XListType": ("x-kubernetes-list-type", None, _plain),
    "XMapType": ("x-kubernetes-map-type", None, _plain),
    "XValidations": ("x-kubernetes-validations", None, _rules),
}
# What a schema's root may say while status is a resource of its own.
# Upstream: allowedFieldsAtRootSchema.
AT_ROOT: Final = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum",
    "ExclusiveMinimum", "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems",
    "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example",
    "XPreserveUnknownFields", "XValidations",
)  # fmt: skip


def go_schema(schema: Obj) -> Obj:
    return {
        name: zero if schema.get(field) is None else form(schema[field])
        for name, (field, zero, form) in _FIELDS.items()
    }


def fields_of(schema: Obj) -> list[str]:
    """The struct's fields that are set, in its order."""
    return [
        name
        for name, (field, zero, _) in _FIELDS.items()
        if schema.get(field) is not None and schema[field] != zero
    ]


def go_rule(rule: Obj) -> Obj:
    """One of x-kubernetes-validations."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }


def go_version(version: Obj, shared: set[str]) -> Obj:
    """shared: fields that all versions have alike stand elsewhere in the internal form."""
    given = {k: v for k, v in version.items() if k not in shared and v is not None}
    schema, parts = given.get("schema"), given.get("subresources")
    return {
        "Name": version.get("name", ""),
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": None if schema is None else _validation(schema),
        "Subresources": None if parts is None else _subresources(parts),
        "AdditionalPrinterColumns": [
            _column(c) for c in given.get("additionalPrinterColumns") or ()
        ]
        or None,
        "SelectableFields": [
            {"JSONPath": one.get("jsonPath", "")} for one in given.get("selectableFields") or ()
        ]
        or None,
    }


def _validation(value: Obj) -> Obj:
    schema = value.get("openAPIV3Schema")
    return {"OpenAPIV3Schema": None if schema is None else go_schema(schema)}


def _subresources(parts: Obj) -> Obj:
    scale = parts.get("scale")
    return {
        "Status": None if parts.get("status") is None else {},
        "Scale": None
        if scale is None
        else {
            "SpecReplicasPath": scale.get("specReplicasPath", ""),
            "StatusReplicasPath": scale.get("statusReplicasPath", ""),
            "LabelSelectorPath": scale.get("labelSelectorPath"),
        },
    }


def _column(column: Obj) -> Obj:
    return {
        "Name": column.get("name", ""),
        "Type": column.get("type", ""),
        "Format": column.get("format", ""),
        "Description": column.get("description", ""),
        "Priority": column.get("priority", 0),
        "JSONPath": column.get("jsonPath", ""),
    }
