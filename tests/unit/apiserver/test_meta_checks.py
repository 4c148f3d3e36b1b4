"""How often the metadata of an update is checked, as recorded of every kind."""

import pytest

from shared import cases, needs_shared
from tiphys.api.meta import GroupVersionKind
from tiphys.api.resources import built_in
from tiphys.apiserver.meta_checks import meta_checks, wants_qualified_finalizers

OWNERS = "metadata.ownerReferences"


@pytest.mark.parametrize(
    ("group", "kind", "whole", "change"),
    [
        ("", "Pod", 1, 1),
        ("apps", "Deployment", 0, 1),
        ("", "Event", 0, 0),
        ("events.k8s.io", "Event", 1, 0),
        ("", "PersistentVolume", 2, 0),
    ],
)
def test_kinds_differ(group: str, kind: str, whole: int, change: int) -> None:
    assert meta_checks(GroupVersionKind(group, "v1", kind)) == (whole, change)


def test_a_status_is_checked_for_its_change() -> None:
    gvk = GroupVersionKind("", "v1", "PersistentVolume")
    assert meta_checks(gvk, of_status=True) == (0, 1)


@needs_shared
@pytest.mark.parametrize(
    ("group", "plural"),
    [
        ("apps", "controllerrevisions"),
        ("apps", "daemonsets"),
        ("batch", "cronjobs"),
        ("networking.k8s.io", "ingresses"),
        ("", "pods"),
        ("", "serviceaccounts"),
    ],
)
def test_owners_are_refused_as_often_as_recorded(group: str, plural: str) -> None:
    gvk = built_in(group, "v1", plural).gvk
    checks = meta_checks(gvk)
    for case in cases(f"writes/update-{plural}"):
        for step in case["steps"]:
            causes = (step["expect"].get("body") or {}).get("details", {}).get("causes") or []
            refused = [c for c in causes if c["field"] == f"{OWNERS}.uid"]
            if refused:
                assert len(refused) == 2 + checks.whole + checks.change


def test_finalizers_of_some_kinds_need_no_domain() -> None:
    free = ("", "Event"), ("coordination.k8s.io", "Lease"), ("policy", "PodDisruptionBudget")
    assert not any(wants_qualified_finalizers(GroupVersionKind(g, "v1", k)) for g, k in free)
    assert wants_qualified_finalizers(GroupVersionKind("events.k8s.io", "v1", "Event"))
