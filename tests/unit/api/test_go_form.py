"""Values in the form of upstream's internal structs."""

import pytest

from tiphys.api import go_form
from tiphys.api.field_errors import invalid
from tiphys.api.schema import SCHEMA

# Of the version only, and of the enclosing object in upstream's struct.
_ELSEWHERE = {
    "core.v1.PodSpec": {
        "serviceAccount", "hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers",
    },
    "core.v1.PersistentVolumeClaimTemplate": {"metadata"},
}  # fmt: skip
_WITH_TAGS = {"meta.v1.LabelSelector", "meta.v1.ObjectMeta"}


def test_every_field_of_a_pod_has_its_go_name() -> None:
    todo, seen = ["core.v1.PodSpec"], set(_WITH_TAGS)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        shown = {m.field.name for m in go_form._members(name) if not m.of_parent}
        fields = SCHEMA.types[name].fields
        assert shown | _ELSEWHERE.get(name, set()) == set(fields), name
        todo += [f.ref for f in fields.values() if f.ref]


@pytest.mark.parametrize("type_name", go_form._table())
def test_every_name_stands_for_a_field(type_name: str) -> None:
    assert go_form._members(type_name)


@pytest.mark.parametrize("type_name", go_form._orders())
def test_an_order_names_each_field_once(type_name: str) -> None:
    names = go_form._orders()[type_name]
    assert sorted(names) == sorted(SCHEMA.types[type_name].fields)


def test_fields_that_nobody_set_are_shown() -> None:
    obj = {
        "labelSelector": {"matchLabels": {"b": "1", "a": "2"}},
        "topologyKey": "k",
        "namespaces": [],
    }
    found = go_form.go_form(obj, "core.v1.PodAffinityTerm")
    assert list(found.items()) == [
        ("LabelSelector", {"matchLabels": {"a": "2", "b": "1"}}),  # It has tags.
        ("Namespaces", []),
        ("TopologyKey", "k"),
        ("NamespaceSelector", None),
        ("MatchLabelKeys", None),
        ("MismatchLabelKeys", None),
    ]


def test_the_network_of_a_pod_stands_in_its_security_context() -> None:
    pod = {"hostNetwork": True, "securityContext": {"runAsUser": 1}}
    context = go_form.go_form(pod, "core.v1.PodSpec")["SecurityContext"]
    assert (context["HostNetwork"], context["HostPID"], context["RunAsUser"]) == (True, False, 1)


def test_values_are_escaped_as_go_does() -> None:
    shown = invalid("a", {"k": "<&>"}, "no").text()
    assert shown == 'Invalid value: {"k":"\\u003c\\u0026\\u003e"}: no'
