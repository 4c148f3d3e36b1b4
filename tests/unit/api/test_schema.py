from tiphys.api.resources import RESOURCES
from tiphys.api.schema import SCHEMA, Field, parse_field


def test_every_reference_has_a_type() -> None:
    missing = {
        f"{name}.{f.name} -> {f.ref}"
        for name in SCHEMA.types
        for f in SCHEMA.types[name].fields.values()
        if f.ref and f.ref not in SCHEMA.types
    }
    assert missing == set()


def test_every_resource_has_a_root_type() -> None:
    assert all(SCHEMA.types[r.schema_type].is_root for r in RESOURCES)


def test_protobuf_numbers_are_unique_within_a_type() -> None:
    for name in SCHEMA.types:
        numbers = [number for number, _ in SCHEMA.types[name].wire]
        assert len(numbers) == len(set(numbers)), name


def test_embedded_fields_appear_in_place() -> None:
    volume = SCHEMA.types["core.v1.Volume"]
    assert volume.fields["hostPath"].embedded == ("VolumeSource",)
    assert [number for number, _ in volume.wire] == [1, 2]
    rules = SCHEMA.types["admissionregistration.v1.NamedRuleWithOperations"]
    assert rules.fields["apiGroups"].embedded == ("RuleWithOperations", "Rule")


def test_parse_field() -> None:
    assert parse_field("core.v1", "volumes:[Volume%name~mr=", 1) == Field(
        name="volumes",
        number=1,
        kind="",
        ref="core.v1.Volume",
        container="list",
        list_type="map",
        map_keys=("name",),
        patch_strategy=("merge", "retainKeys"),
        patch_merge_key="name",
    )
    assert parse_field("core.v1", "restartPolicy:s/RestartPolicy*", 3) == Field(
        name="restartPolicy", number=3, kind="s", go_name="RestartPolicy", pointer=True
    )
    assert parse_field("core.v1", "nodeSelector:{s^", 7) == Field(
        name="nodeSelector", number=7, kind="s", container="map", map_type="atomic"
    )


def test_finalizers_are_a_set_that_patches_merge() -> None:
    finalizers = SCHEMA.types["meta.v1.ObjectMeta"].fields["finalizers"]
    assert (finalizers.list_type, finalizers.patch_strategy) == ("set", ("merge",))
