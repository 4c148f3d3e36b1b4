"""Revisions of templates: which is the present one, which are in the way."""

from tiphys.api.meta import Obj, name_of
from tiphys.controllers import controller_history as history


def an_owner(image: str = "i", limit: int = 1) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default", "uid": "db"},
        "spec": {
            "revisionHistoryLimit": limit,
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    }


def revision(image: str, number: int) -> Obj:
    return history.new_revision(an_owner(image), number, "hash", 0)


def test_a_revision_restores_the_template_and_is_named_by_its_hash() -> None:
    got = revision("i", 3)
    template = got["data"]["spec"]["template"]
    assert template["$patch"] == "replace"
    assert template["spec"] == an_owner()["spec"]["template"]["spec"]
    assert name_of(got) == f"db-{got['metadata']['labels']['hash']}"
    assert got["metadata"]["labels"]["app"] == "x"
    assert got["revision"] == 3


def test_the_present_template_is_found_among_others() -> None:
    same, old = history.split(an_owner("b"), [revision("c", 3), revision("b", 2), revision("a", 1)])
    assert [history.number_of(r) for r in same] == [2]
    assert [history.number_of(r) for r in old] == [1, 3]
    assert history.next_number(old) == 4


def test_another_collision_count_gives_another_name() -> None:
    first, second = (history.new_revision(an_owner(), 1, "hash", n) for n in (0, 1))
    assert name_of(first) != name_of(second)


def test_live_revisions_stay_but_count() -> None:
    old = [revision(image, n) for n, image in enumerate("abcd", 1)]
    live = {name_of(old[0])}
    gone = history.to_clean_up(an_owner(limit=1), old, live)
    assert [history.number_of(r) for r in gone] == [2, 3, 4]
