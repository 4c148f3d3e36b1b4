"""What a definition may say, which names it is given, and how it goes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.apiserver.custom_resources import finalizing
from tiphys.apiserver.custom_resources.custom_version import CustomVersion, version_rank
from tiphys.apiserver.custom_resources.definition_rules import (
    definition_errors,
    name_errors,
    warnings,
)
from tiphys.apiserver.custom_resources.naming import is_true, status_of
from tiphys.apiserver.custom_resources.schema_rules import schema_errors
from tiphys.apiserver.custom_resources.shapes import root_shape
from tiphys.codec.fields.compare import field_set
from tiphys.codec.fields.unfit import why_unfit

NOW = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2020, 1, 2, tzinfo=UTC)


def definition(plural: str = "widgets", kind: str = "Widget", **more: Any) -> dict[str, Any]:
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    spec = {
        "group": "acme.io",
        "scope": "Namespaced",
        "names": names | more.pop("names", {}),
        "versions": [version | more.pop("version", {})],
        "conversion": {"strategy": "None"},
    }
    metadata = {"name": f"{plural}.acme.io", "uid": plural}
    return {"metadata": metadata, "spec": spec | more, "status": {"storedVersions": ["v1"]}}


def field(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("schema", "texts"),
    [
        ({"type": "object"}, []),
        ({"type": "string"}, ['s.type: Invalid value: "string": must be object at the root']),
        ({}, ["s.type: Required value: must not be empty at the root"]),
        (
            field({}),
            ["s.properties[a].type: Required value: must not be empty for specified object fields"],
        ),
        (field({"type": "array"}), ["s.properties[a].items: Required value: must be specified"]),
        (field({"$ref": "#/x"}), ["s.properties[a].$ref: Forbidden: $ref is not supported"]),
        (
            field({"type": "string", "allOf": [{"default": "x"}]}),
            ["s.properties[a].allOf[0].default: Forbidden: must be undefined to be structural"],
        ),
        (
            field({"x-kubernetes-int-or-string": True,
                   "anyOf": [{"type": "integer"}, {"type": "string"}]}),
            [],
        ),
        (
            field({"type": "object", "anyOf": [{"properties": {"b": {"minimum": 1}}}]}),
            [
                "s.properties[a].properties[b]: Required value: because it is defined in"
                " s.properties[a].anyOf[0].properties[b]"
            ],
        ),
        (
            field({"type": "integer", "minimum": 5, "default": 3}),
            [
                "s.properties[a].default: Invalid value: 3:  in body should be greater than or"
                " equal to 5"
            ],
        ),
        (
            field({"type": "object", "default": {"b": 1}}),
            [
                's.properties[a].default: Invalid value: {"b":1}: must not have unknown fields'
            ],
        ),
        (
            field({"type": "array", "x-kubernetes-list-type": "map",
                   "x-kubernetes-list-map-keys": ["k"],
                   "items": {"type": "object", "properties": {"k": {"type": "string"}}}}),
            [
                "s.properties[a].items.properties[k].default: Required value: this property is in"
                " x-kubernetes-list-map-keys, so it must have a default or be a required property"
            ],
        ),
        (
            {"type": "object", "properties": {"metadata": {"type": "object", "properties": {
                "labels": {"type": "object"}}}}},
            [
                "s.properties[metadata]: Forbidden: must not specify anything other than name and"
                " generateName, but metadata is implicitly specified"
            ],
        ),
        (
            field({"type": "object", "x-kubernetes-embedded-resource": True}),
            [
                "s.properties[a].properties: Required value: must not be empty if"
                " x-kubernetes-embedded-resource is true without"
                " x-kubernetes-preserve-unknown-fields"
            ],
        ),
        (field({"type": "null"}), [
            's.properties[a].type: Unsupported value: "null": supported values: "array", "boolean",'
            ' "integer", "number", "object", "string"',
            "s.properties[a].type: Forbidden: type cannot be set to null, use nullable as an"
            " alternative",
        ]),
        (field({"x-kubernetes-int-or-string": True, "x-kubernetes-embedded-resource": True,
                "type": "object", "properties": {"b": {"type": "string"}}}), [
            "s.properties[a].x-kubernetes-embedded-resource: Invalid value: true: must be false if"
            " x-kubernetes-int-or-string is true",
        ]),
        ({"type": "object", "properties": {"metadata": {"type": "object", "default": {}},
                                           "kind": {"type": "string", "default": "A"}}}, [
            "s.properties[metadata].default: Forbidden: must not be set in top-level metadata",
            "s.properties[kind].default: Forbidden: must not be set in top-level kind",
        ]),
        (field({"type": "object", "x-kubernetes-embedded-resource": True, "properties": {
            "metadata": {"type": "object", "properties": {"labels": {"type": "object",
                "additionalProperties": {"type": "string", "default": "b"}}}}}}), [
            "s.properties[a].properties[metadata].properties[labels].additionalProperties.default:"
            " Forbidden: must not be set inside additionalProperties applying to object metadata",
        ]),
        (field({"type": "array", "x-kubernetes-list-type": "set",
                "items": {"type": "array", "items": {"type": "string"}}}), []),
        (field({"type": "string", "x-kubernetes-list-type": "x"}), [
            "s.properties[a].type: Invalid value: \"string\": must be array if"
            " x-kubernetes-list-type is specified",
            's.properties[a].x-kubernetes-list-type: Unsupported value: "x": supported values:'
            ' "atomic", "set", "map"',
        ]),
        (field({"type": "integer", "default": 3,
                "x-kubernetes-validations": [{"rule": "self > 4", "message": "more"}]}), [
            "s.properties[a].default: Invalid value: 3: more",
        ]),
    ],
)  # fmt: skip
def test_schemas(schema: dict[str, Any], texts: list[str]) -> None:
    assert [str(error) for error in schema_errors(schema, "s")] == texts


@pytest.mark.parametrize(
    ("changed", "paths"),
    [
        ({}, []),
        ({"group": "acme"}, ["spec.group"]),
        ({"scope": "Nope"}, ["spec.scope"]),
        ({"names": {"kind": "bad_kind"}}, ["spec.names.kind"]),
        ({"names": {"listKind": "Widget"}}, ["spec.names.listKind"]),
        ({"names": {"listKind": "Widget", "shortNames": ["A"], "categories": ["B"]}},
         ["spec.names.shortNames[0]", "spec.names.listKind", "spec.names.categories[0]"]),
        ({"version": {"deprecated": True, "deprecationWarning": "a\u0007"}},
         ["spec.versions[0].deprecationWarning"]),
        ({"preserveUnknownFields": True, "conversion": {"strategy": "Webhook", "webhook": {
            "clientConfig": {"url": "http://u@h/?q#f"}, "conversionReviewVersions": ["V1", "v1"]}}},
         ["spec.conversion.strategy", *["spec.conversion.webhookClientConfig.url"] * 4,
          "spec.conversion.conversionReviewVersions[0]", "spec.preserveUnknownFields"]),
        ({"version": {"name": "V1"}}, ["spec.versions[0].name", "spec.version",
                                       "status.storedVersions", "status.storedVersions[0]"]),
        ({"version": {"storage": False}}, ["spec.versions"]),
        ({"version": {"storage": False, "schema": {"openAPIV3Schema": {
            "type": "object", "dependencies": {"a": None, "b": {}, "c": ["d"]}}}}},
         ["spec.versions", "spec.validation.openAPIV3Schema.dependencies"]),
        ({"version": {"schema": None}}, ["spec.versions[0].schema.openAPIV3Schema"]),
        ({"version": {"deprecationWarning": "old"}}, ["spec.versions[0].deprecationWarning"]),
        ({"version": {"subresources": {"scale": {"specReplicasPath": ".status.x",
                                                 "statusReplicasPath": ".status.y"}}}},
         ["spec.subresources.scale.specReplicasPath"]),
        ({"version": {"additionalPrinterColumns": [{"name": "a", "type": "x", "jsonPath": "."}]}},
         ["spec.additionalPrinterColumns[0].type"]),
        ({"version": {"selectableFields": [{"jsonPath": ".spec.q"}]}},
         ["spec.selectableFields[0].jsonPath"]),
        ({"conversion": {"strategy": "Webhook"}},
         ["spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions"]),
        ({"preserveUnknownFields": True}, ["spec.preserveUnknownFields"]),
        ({"group": "x.k8s.io"}, ["metadata.annotations[api-approved.kubernetes.io]"]),
    ],
)  # fmt: skip
def test_what_a_definition_may_say(changed: dict[str, Any], paths: list[str]) -> None:
    assert [error.path for error in definition_errors(definition(**changed))] == paths


def test_its_name_is_made_of_its_parts() -> None:
    wrong = definition()
    wrong["metadata"]["name"] = "gadgets.acme.io"
    assert [e.path for e in name_errors(wrong)] == ["metadata.name"]
    assert name_errors(definition()) == []


def test_what_names_objects_stays_once_they_are_served() -> None:
    old, new = definition(), definition(kind="Gadget", scope="Cluster")
    assert definition_errors(new, old) == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert [e.path for e in definition_errors(new, old)] == ["spec.scope", "spec.names.kind"]


def test_warnings_of_what_has_no_effect() -> None:
    schema = {"type": "object", "format": "nope"}
    made = definition(version={"schema": {"openAPIV3Schema": schema}})
    made["spec"]["conversion"] = {"strategy": "Webhook"}
    first, second = warnings(made)
    assert first == 'unrecognized format "nope"'
    assert "webhooks are not called" in second


def test_names_are_accepted_and_kept() -> None:
    made = definition()
    made["status"] = status_of(made, [], NOW)
    assert is_true(made, "NamesAccepted")
    assert is_true(made, "Established")
    assert [c["type"] for c in made["status"]["conditions"]] == ["NamesAccepted", "Established"]
    assert status_of(made, [], LATER) == made["status"]  # Nothing is written for nothing.


@pytest.mark.parametrize(
    ("rival", "reason"),
    [
        ({"plural": "widget"}, "PluralConflict"),
        ({"names": {"singular": "widgets"}}, "SingularConflict"),
        ({"names": {"shortNames": ["w", "widget"]}}, "ShortNamesConflict"),
        ({"kind": "Widget", "names": {"listKind": "Other"}}, "KindConflict"),
        ({"names": {"listKind": "WidgetList"}}, "ListKindConflict"),
    ],
)
def test_names_that_are_taken(rival: dict[str, Any], reason: str) -> None:
    first = definition()
    first["status"] = status_of(first, [], NOW)
    known = {"plural": "others", "kind": "Other"} | {k: v for k, v in rival.items() if k != "names"}
    names = {"singular": "other"} | rival.get("names", {})
    second = definition(**known, names=names)
    status = status_of(second, [first], NOW)
    found = {c["type"]: c for c in status["conditions"]}
    assert (found["NamesAccepted"]["status"], found["NamesAccepted"]["reason"]) == ("False", reason)
    assert found["Established"]["reason"] == "NotAccepted"
    other_group = second | {"spec": second["spec"] | {"group": "b.io"}}
    assert is_true({"status": status_of(other_group, [first], NOW)}, "Established")


def test_the_way_out() -> None:
    marked = finalizing.marked(definition(), NOW)
    assert marked is not None
    assert marked["metadata"]["finalizers"] == [finalizing.FINALIZER]
    assert finalizing.waits_for_objects(marked)
    assert finalizing.marked(marked, LATER) is None
    [condition] = finalizing.running(marked, NOW)["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "InstanceDeletionInProgress")
    done = finalizing.finished(marked, NOW)
    assert "finalizers" not in done["metadata"]
    assert done["status"]["conditions"][0]["status"] == "False"


def test_versions_are_ordered() -> None:
    names = ["v2alpha1", "foo", "v1", "v10", "v1beta2", "v1beta11", "v2"]
    ordered = sorted(names, key=version_rank, reverse=True)
    assert ordered == ["v10", "v2", "v1", "v1beta11", "v1beta2", "v2alpha1", "foo"]


def test_a_deprecated_version_names_a_better_one() -> None:
    made = definition(version={"name": "v1beta1", "deprecated": True})
    made["spec"]["versions"].append(
        {"name": "v1", "served": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    )
    old = CustomVersion(made, made["spec"]["versions"][0], made["spec"]["names"])
    assert old.deprecation == "acme.io/v1beta1 Widget is deprecated; use acme.io/v1 Widget"


def test_a_scale_reads_and_writes_its_paths() -> None:
    scale = {
        "specReplicasPath": ".spec.n",
        "statusReplicasPath": ".status.n",
        "labelSelectorPath": ".status.sel",
    }
    made = definition(version={"subresources": {"scale": scale}})
    one = CustomVersion(made, made["spec"]["versions"][0], made["spec"]["names"])
    obj = {"metadata": {"name": "a", "generation": 1}, "spec": {"n": 2}, "status": {"n": 1}}
    assert one.scale_of(obj)["spec"] == {"replicas": 2}
    changed = one.with_replicas(obj, 5)
    assert (changed["spec"], changed["metadata"]["generation"]) == ({"n": 5}, 2)
    assert obj["spec"] == {"n": 2}
    [error] = one.replicas_errors(-1)
    assert str(error) == ".spec.n: Invalid value: -1: should be a non-negative integer"


def test_shapes_follow_list_types() -> None:
    keyed = {
        "type": "array",
        "items": {"type": "object", "properties": {"k": {"type": "string"}}},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
    }
    plain = {"type": "array", "items": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": {
            "keyed": keyed,
            "set": plain | {"x-kubernetes-list-type": "set"},
            "plain": plain,
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    value = {"keyed": [{"k": "a"}], "set": ["x"], "plain": ["y"], "any": {"z": {"q": [1]}}}
    assert field_set(root_shape(schema), value) == {
        "f:keyed": {'k:{"k":"a"}': {".": {}, "f:k": {}}},
        "f:set": {'v:"x"': {}},
        "f:plain": {},
        "f:any": {"f:z": {".": {}, "f:q": {}}},
    }


@pytest.mark.parametrize(
    ("schema", "value", "why"),
    [
        ({"type": "string", "format": "date-time"}, 5, ""),
        ({"type": "string", "format": "uuid"}, [5], ".f: expected any scalar, got &{[5]}"),
        ({"type": "array", "items": {"type": "boolean"}}, [1], ".f[0]: expected boolean, got &{1}"),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}},
                "x-kubernetes-map-type": "atomic",
            },
            {"a": 1, "b": 2},
            ".f.b: field not declared in schema",
        ),
    ],
)
def test_shapes_of_wholes_and_formats(schema: dict[str, Any], value: Any, why: str) -> None:
    shape = root_shape({"type": "object", "properties": {"f": schema}})
    assert why_unfit(shape, {"f": value}) == why
