"""Whether a CustomResourceDefinition is valid. Pure.

What all versions have alike is told of as if it stood once for all, as in upstream's internal form.
Upstream: apiextensions-apiserver pkg/apis/apiextensions/validation/validation.go.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_many,
)
from tiphys.api.meta import Obj, at
from tiphys.apiserver.custom_resources.defaulting import has_defaults
from tiphys.apiserver.custom_resources.go_schema import go_version
from tiphys.apiserver.custom_resources.schema_rules import schema_errors, unknown_formats
from tiphys.apiserver.resources.rules.texts import each, repeats
from tiphys.apiserver.resources.rules.webhook_client import webhook_client

APPROVED: Final = "api-approved.kubernetes.io"
_APPROVAL: Final = ", see https://github.com/kubernetes/enhancements/pull/1111"
_PROTECTED: Final = ("k8s.io", "kubernetes.io")
_SHARED: Final = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = (
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
)
_TOKEN: Final = re.compile(r"[.\[\]]|[^.\[\]]+")
SELECTABLE_MAX: Final = 8  # MaxSelectableFields
WARNING_BYTES_MAX: Final = 256
_NO_WEBHOOK: Final = (
    "conversion webhooks are not called by this server: objects are converted by changing their"
    " apiVersion only"
)


def name_errors(definition: Obj) -> list[FieldError]:
    """metadata.name says what is defined."""
    metadata, spec = definition["metadata"], definition.get("spec") or {}
    wanted = f"{at(spec, 'names', 'plural', default='')}.{spec.get('group', '')}"
    return [
        invalid(f"metadata.{field}", metadata[field], 'must be spec.names.plural+"."+spec.group')
        for field in ("generateName", "name")
        if metadata.get(field) and metadata[field] != wanted
    ]


def definition_errors(definition: Obj, old: Obj | None = None) -> list[FieldError]:
    """`old`: what an update changes."""
    spec = definition.get("spec") or {}
    errors = [*_spec(spec), *(_changes(definition, old) if old is not None else ())]
    errors += [*accepted_name_errors(definition), *_stored_versions(definition)]
    errors += _approval(definition, old)
    if spec.get("preserveUnknownFields"):
        errors.append(
            invalid(
                "spec.preserveUnknownFields",
                True,
                "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in"
                " spec.versions[*].schema instead",
            )
        )
    return errors


def accepted_name_errors(definition: Obj) -> Iterator[FieldError]:
    found = at(definition, "status", "acceptedNames", default={})
    return _well_formed_names(found, "status.acceptedNames")


def _changes(new: Obj, old: Obj) -> list[FieldError]:
    """Once established, what names the objects stays."""
    is_established = any(
        c.get("type") == "Established" and c.get("status") == "True"
        for c in at(old, "status", "conditions", default=[])
    )
    always = (("group",), ("names", "plural"))  # Keys are made of these.
    established = (("scope",), ("names", "kind"), *always)
    return [
        invalid(f"spec.{'.'.join(path)}", at(new, "spec", *path, default=""), "field is immutable")
        for path in (established if is_established else always)
        if at(new, "spec", *path) != at(old, "spec", *path)
    ]


def warnings(definition: Obj) -> list[str]:
    """What is stored and has no effect."""
    spec = definition.get("spec") or {}
    schemas = [s for v in spec.get("versions") or () if (s := _schema(v)) is not None]
    found = [f'unrecognized format "{name}"' for s in schemas for name in unknown_formats(s)]
    if at(spec, "conversion", "strategy") == "Webhook":
        found.append(_NO_WEBHOOK)
    return list(dict.fromkeys(found))


def _schema(version: Obj) -> Obj | None:
    found: Obj | None = at(version, "schema", "openAPIV3Schema")
    return found


def _spec(spec: Obj) -> Iterator[FieldError]:
    yield from _group(spec.get("group") or "")
    scope = spec.get("scope") or ""
    if not scope:
        yield required("spec.scope")
    elif scope not in ("Cluster", "Namespaced"):
        yield not_supported("spec.scope", scope, ("Cluster", "Namespaced"))
    given = spec.get("versions")
    versions = given or []
    shared = {
        f for f in _SHARED if versions and all(v.get(f) == versions[0].get(f) for v in versions)
    }
    if not versions or "schema" not in shared or _schema(versions[0]) is None:
        for index, version in enumerate(versions):
            if _schema(version) is None:
                yield required(f"spec.versions[{index}].schema.openAPIV3Schema")
    defaulted = any(has_defaults(s) for v in versions if (s := _schema(v)) is not None)
    if spec.get("preserveUnknownFields") and defaulted:
        text = "must be false in order to use defaults in the schema"
        yield invalid("spec.preserveUnknownFields", True, text)
    yield from _versions(versions, shared, is_given=given is not None)
    yield from _names(spec.get("names") or {})
    if versions:
        has_status = any(at(v, "subresources", "status") is not None for v in versions)
        yield from _parts(versions[0], shared, "spec", "spec.validation", has_status=has_status)
    conversion = spec.get("conversion") or {}
    strategy = conversion.get("strategy") or ""
    if spec.get("preserveUnknownFields") and strategy != "None":
        text = "must be None if spec.preserveUnknownFields is true"
        yield invalid("spec.conversion.strategy", strategy, text)
    yield from _conversion(conversion)


def _group(group: str) -> Iterator[FieldError]:
    if not group:
        yield required("spec.group")
    elif texts := names.dns_subdomain(group):
        yield invalid("spec.group", group, ",".join(texts))
    elif "." not in group:
        yield invalid("spec.group", group, "should be a domain with at least one dot")


def _versions(versions: list[Obj], shared: set[str], *, is_given: bool) -> Iterator[FieldError]:
    for index, version in enumerate(versions):
        path = f"spec.versions[{index}]"
        name = version.get("name") or ""
        if texts := names.dns1035_label(name):
            yield invalid(f"{path}.name", name, ",".join(texts))
        warning = version.get("deprecationWarning")
        if warning is not None:
            yield from _deprecation(warning, f"{path}.deprecationWarning", version)
        has_status = at(version, "subresources", "status") is not None
        own = set(_SHARED) - shared
        yield from _parts(version, own, path, f"{path}.schema", has_status=has_status)
        if version.get("selectableFields") and _schema(version) is None:
            text = "may only be set when `version.schema.openAPIV3Schema` is not included"
            yield invalid(f"{path}.selectableFields", "", text)
    for text in _of_all_versions(versions):
        shown = [go_version(version, shared) for version in versions] if is_given else None
        yield invalid("spec.versions", shown, text)
    first = (versions[0].get("name") or "") if versions else ""
    if first and (texts := names.dns1035_label(first)):
        yield invalid("spec.version", first, ",".join(texts))


def _of_all_versions(versions: list[Obj]) -> Iterator[str]:
    named = [version.get("name") for version in versions]
    if len(set(named)) != len(named):
        yield "must contain unique version names"
    if sum(1 for version in versions if version.get("storage")) != 1:
        yield "must have exactly one version marked as storage version"


def _deprecation(text: str, path: str, version: Obj) -> Iterator[FieldError]:
    if not version.get("deprecated"):
        yield invalid(path, text, "can only be set for deprecated versions")
        return
    if len(text.encode()) > WARNING_BYTES_MAX:
        yield invalid(path, text, f"must be <= {WARNING_BYTES_MAX} characters long")
    if not text:
        yield invalid(path, text, "must not be an empty string")
    for index, char in enumerate(text):
        if not char.isprintable():
            where = len(text[:index].encode())
            why = f"non-printable character found at index {where}"
            yield invalid(path, text, f"must only contain printable UTF-8 characters; {why}")
            return


def _parts(
    version: Obj, which: set[str], path: str, schema_path: str, *, has_status: bool
) -> Iterator[FieldError]:
    """What versions have alike, or one of them for itself."""
    schema = _schema(version)
    if "schema" in which and schema is not None:
        where = f"{schema_path}.openAPIV3Schema"
        yield from schema_errors(schema, where, has_status=has_status)
    if "subresources" in which:
        scale = at(version, "subresources", "scale")
        if scale is not None:
            yield from _scale(scale, f"{path}.subresources.scale")
    if "additionalPrinterColumns" in which:
        for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
            yield from _column(column, f"{path}.additionalPrinterColumns[{index}]")
    if "selectableFields" in which and schema is not None:
        fields = version.get("selectableFields") or []
        yield from _selectable(fields, schema, f"{path}.selectableFields")


def _scale(scale: Obj, path: str) -> Iterator[FieldError]:
    for field, roots, where in (
        ("specReplicasPath", (".spec.",), ".spec"),
        ("statusReplicasPath", (".status.",), ".status"),
    ):
        value = scale.get(field) or ""
        if not value:
            yield required(f"{path}.{field}")
        elif not _is_simple(value):
            yield invalid(f"{path}.{field}", value, "must be a simple json path starting with .")
        elif not value.startswith(roots):
            yield invalid(f"{path}.{field}", value, f"should be a json path under {where}")
    selector = scale.get("labelSelectorPath") or ""
    if selector and not _is_simple(selector):
        text = "must be a simple json path starting with ."
        yield invalid(f"{path}.labelSelectorPath", selector, text)
    elif selector and not selector.startswith((".spec.", ".status.")):
        text = "should be a json path under either .spec or .status"
        yield invalid(f"{path}.labelSelectorPath", selector, text)


def _is_simple(path: str) -> bool:
    return path.startswith(".")


def _column(column: Obj, path: str) -> Iterator[FieldError]:
    if not column.get("name"):
        yield required(f"{path}.name")
    kind = column.get("type") or ""
    if not kind:
        text = f"must be one of {','.join(_COLUMN_TYPES)}"
        yield required(f"{path}.type", text)
    elif kind not in _COLUMN_TYPES:
        yield invalid(f"{path}.type", kind, f"must be one of {','.join(_COLUMN_TYPES)}")
    shape = column.get("format")
    if shape and shape not in _COLUMN_FORMATS:
        yield invalid(f"{path}.format", shape, f"must be one of {','.join(_COLUMN_FORMATS)}")
    json_path = column.get("jsonPath") or ""
    if not json_path:
        yield required(f"{path}.JSONPath")
    elif not json_path.startswith("."):
        yield invalid(f"{path}.JSONPath", json_path, "must be a simple json path starting with .")


def _selectable(fields: list[Obj], schema: Obj, path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, field in enumerate(fields):
        where, json_path = f"{path}[{index}].jsonPath", field.get("jsonPath") or ""
        if not json_path:
            yield required(where)
            continue
        try:
            found = _schema_at(json_path, schema)
        except ValueError as error:
            yield invalid(where, json_path, f"is an invalid path: {error}")
            continue
        if json_path.startswith(".metadata"):
            yield invalid(where, json_path, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            text = (
                "must point to a field of type string, boolean or integer. Enum string fields and"
                " strings with formats are allowed."
            )
            yield invalid(where, json_path, text)
        if json_path in seen:
            yield duplicate(where, json_path)
        seen.add(json_path)
    if len(seen) > SELECTABLE_MAX:
        yield too_many(path, len(seen), SELECTABLE_MAX)


def _schema_at(json_path: str, schema: Obj) -> Obj:
    """What a path like ".spec.size" leads to. Raises ValueError, with upstream's words."""
    tokens = _TOKEN.findall(json_path)
    while tokens:
        sign = tokens.pop(0)
        if sign == "[":
            raise ValueError("array notation is not allowed")
        if sign != ".":
            raise ValueError(f"expected [ or . but got: {sign}")
        if not tokens:
            raise ValueError("unexpected end of JSON path")
        found = (schema.get("properties") or {}).get(tokens.pop(0))
        if found is None:
            raise ValueError("does not refer to a valid field")
        schema = found
    return schema


def _names(given: Obj) -> Iterator[FieldError]:
    path = "spec.names"
    for field in ("plural", "singular", "kind", "listKind"):
        if not given.get(field):
            yield required(f"{path}.{field}")
    yield from _well_formed_names(given, path)


def _well_formed_names(given: Obj, path: str) -> Iterator[FieldError]:
    for field in ("plural", "singular"):
        value = given.get(field) or ""
        if value and (texts := names.dns1035_label(value)):
            yield invalid(f"{path}.{field}", value, ",".join(texts))
    mixed = "may have mixed case, but should otherwise match: "
    for field in ("kind", "listKind"):
        value = given.get(field) or ""
        if value and (texts := names.dns1035_label(value.lower())):
            yield invalid(f"{path}.{field}", value, mixed + ",".join(texts))
    for field in ("shortNames", "categories"):
        if field == "categories" and _has_same_kinds(given):
            text = "kind and listKind may not be the same"
            yield invalid(f"{path}.listKind", given["listKind"], text)
        for index, value in enumerate(given.get(field) or ()):
            if texts := names.dns1035_label(value):
                yield invalid(f"{path}.{field}[{index}]", value, ",".join(texts))


def _has_same_kinds(given: Obj) -> bool:
    return bool(given.get("kind")) and given.get("kind") == given.get("listKind")


def _conversion(conversion: Obj) -> Iterator[FieldError]:
    path = "spec.conversion"
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    if not strategy:
        yield required(f"{path}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy != "Webhook":
        text = "should not be set when strategy is not set to Webhook"
        if client is not None:
            yield forbidden(f"{path}.webhookClientConfig", text)
        if reviews:
            yield forbidden(f"{path}.conversionReviewVersions", text)
        return
    if client is None:
        text = "required when strategy is set to Webhook"
        yield required(f"{path}.webhookClientConfig", text)
    else:
        yield from webhook_client(client, f"{path}.webhookClientConfig")
    where = f"{path}.conversionReviewVersions"
    if not reviews:
        yield required(where)
    again = set(repeats(reviews))
    for index, name in enumerate(reviews):
        if index in again:
            yield invalid(f"{where}[{index}]", name, "duplicate version")
        else:
            yield from each(f"{where}[{index}]", name, names.dns1035_label(name))
    if reviews and not {"v1", "v1beta1"} & set(reviews):
        yield invalid(where, reviews, "must include at least one of v1, v1beta1")


def _stored_versions(definition: Obj) -> Iterator[FieldError]:
    path = "status.storedVersions"
    stored = at(definition, "status", "storedVersions", default=[])
    versions = at(definition, "spec", "versions", default=[])
    if not stored:
        yield invalid(path, None, "must have at least one stored version")
        return
    left = {name: index for index, name in enumerate(stored)}
    for version in versions:
        name = version.get("name")
        if version.get("storage") and name not in left:
            yield invalid(path, stored, f"must have the storage version {name}")
        left.pop(name, None)
    for name, index in left.items():
        text = (
            f"missing from spec.versions; {name} was previously a storage version, and must"
            " remain in spec.versions until a storage migration ensures no data remains"
            f" persisted in {name} and removes {name} from status.storedVersions"
        )
        yield invalid(f"{path}[{index}]", name, text)


def is_protected(group: str) -> bool:
    """Groups that are the community's own."""
    return group in _PROTECTED or group.endswith(tuple(f".{name}" for name in _PROTECTED))


def _approval(definition: Obj, old: Obj | None) -> list[FieldError]:
    """A state that stays is not told of again."""
    if not is_protected(at(definition, "spec", "group", default="")):
        return []
    state, value = _approval_state(definition)
    if state in {"approved", "bypassed"} or (old is not None and _approval_state(old)[0] == state):
        return []
    path = f"metadata.annotations[{APPROVED}]"
    text = f'protected groups must have approval annotation "{APPROVED}"'
    if state == "missing":
        return [required(path, text + _APPROVAL)]
    words = ' with either a URL or a reason starting with "unapproved"'
    return [invalid(path, value, text + words + _APPROVAL)]


def _approval_state(definition: Obj) -> tuple[str, str]:
    """The state and the annotation's text."""
    value = (definition["metadata"].get("annotations") or {}).get(APPROVED) or ""
    if not value:
        return "missing", value
    if value.startswith("unapproved"):
        return "bypassed", value
    return ("approved" if _is_url(value) else "invalid"), value


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.netloc and parts.scheme)
