"""Which volume a claim gets, what binding writes, and what becomes of volumes after."""

from pathlib import Path
from typing import Any

import pytest

from tiphys.api import volume_matching as matching
from tiphys.api.meta import Obj, annotations_of, name_of
from tiphys.controllers.ephemeral_volume import wanted_claims
from tiphys.controllers.local_path_provisioner import (
    is_ours,
    make_directory,
    refusal,
    remove_directory,
    volume_of,
)
from tiphys.controllers.persistent_volume_claim_protection import is_used, with_finalizer
from tiphys.controllers.volume_attributes_class_protection import is_used as class_is_used
from tiphys.controllers.volume_binder import claim_names, remove_host_path
from unit.controllers.builders import a_node, a_pod


def a_claim(size: str = "1Gi", **spec: Any) -> Obj:
    return {
        "metadata": {"name": "c", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "s",
            "volumeMode": "Filesystem",
            "resources": {"requests": {"storage": size}},
        }
        | spec,
    }


def a_volume(name: str, size: str = "1Gi", *, phase: str = "Available", **spec: Any) -> Obj:
    return {
        "metadata": {"name": name, "uid": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
            "storageClassName": "s",
            "volumeMode": "Filesystem",
        }
        | spec,
        "status": {"phase": phase},
    }


def on(node: str) -> Obj:
    term = {"matchExpressions": [{"key": "host", "operator": "In", "values": [node]}]}
    return {"required": {"nodeSelectorTerms": [term]}}


FOR_US: dict[str, Any] = {"claimRef": {"namespace": "ns", "name": "c"}}
FOR_ANOTHER: dict[str, Any] = {"claimRef": {"namespace": "ns", "name": "c", "uid": "before"}}


@pytest.mark.parametrize(
    ("claim", "volumes", "wanted"),
    [
        pytest.param(
            a_claim("2Gi"),
            [a_volume("a", "1Gi"), a_volume("b", "5Gi"), a_volume("c", "2Gi")],
            "c",
            id="the-smallest-that-is-large-enough",
        ),
        pytest.param(a_claim("2Gi"), [a_volume("a", "1Gi")], None, id="too-small"),
        pytest.param(a_claim(), [a_volume("a", storageClassName="x")], None, id="another-class"),
        pytest.param(a_claim(), [a_volume("a", volumeMode="Block")], None, id="another-mode"),
        pytest.param(
            a_claim(accessModes=["ReadWriteMany"]), [a_volume("a")], None, id="another-access"
        ),
        pytest.param(a_claim(), [a_volume("a", phase="Released")], None, id="not-available"),
        pytest.param(a_claim(), [a_volume("a", **FOR_ANOTHER)], None, id="of-an-earlier-claim"),
        pytest.param(
            a_claim(),
            [a_volume("a"), a_volume("b", "9Gi", phase="Pending", **FOR_US)],
            "b",
            id="kept-for-the-claim",
        ),
        pytest.param(
            a_claim(selector={"matchLabels": {"x": "y"}}), [a_volume("a")], None, id="selector"
        ),
    ],
)
def test_best_volume(claim: Obj, volumes: list[Obj], wanted: str | None) -> None:
    found = matching.best(volumes, claim, waits=False)
    assert (name_of(found) if found else None) == wanted


def test_a_claim_that_waits_takes_only_what_was_kept_for_it_or_suits_the_node() -> None:
    assert matching.best([a_volume("a")], a_claim(), waits=True) is None
    volumes = [a_volume("a", nodeAffinity=on("n1")), a_volume("b", "2Gi", nodeAffinity=on("n2"))]
    found = matching.best(volumes, a_claim(), waits=False, node=a_node("n2", labels={"host": "n2"}))
    assert found is volumes[1]


def test_binding_notes_each_in_the_other_and_is_stable() -> None:
    claim, volume = a_claim(), a_volume("v")
    bound = matching.bound_volume(volume, claim)
    assert bound["spec"]["claimRef"]["uid"] == "u"
    assert annotations_of(bound) == {matching.BOUND_BY_CONTROLLER: "yes"}
    assert matching.bound_volume(bound, claim) is bound
    noted = matching.bound_claim(claim, bound)
    assert noted["spec"]["volumeName"] == "v"
    assert annotations_of(noted) == {
        matching.BIND_COMPLETED: "yes",
        matching.BOUND_BY_CONTROLLER: "yes",
    }
    assert matching.bound_claim(noted, bound) is noted
    assert "volumeName" not in claim["spec"], "the cache is not changed"


def test_what_the_user_chose_is_not_given_up_with_the_binding() -> None:
    chosen = matching.bound_volume(a_volume("v", **FOR_US), a_claim())
    assert matching.BOUND_BY_CONTROLLER not in annotations_of(chosen)
    assert matching.unbound_volume(chosen)["spec"]["claimRef"]["name"] == "c"
    assert "uid" not in matching.unbound_volume(chosen)["spec"]["claimRef"]
    ours = matching.bound_volume(a_volume("v"), a_claim())
    assert "claimRef" not in matching.unbound_volume(ours)["spec"]


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        pytest.param(a_volume("v"), None, id="fits"),
        pytest.param(a_volume("v", "1Mi"), "requested PV is too small", id="small"),
        pytest.param(
            a_volume("v", storageClassName=""), "storageClassName does not match", id="class"
        ),
        pytest.param(a_volume("v", volumeMode="Block"), "incompatible volumeMode", id="mode"),
        pytest.param(a_volume("v", accessModes=[]), "incompatible accessMode", id="access"),
    ],
)
def test_a_chosen_volume_must_fit(volume: Obj, why: str | None) -> None:
    assert matching.mismatch(volume, a_claim()) == why


def test_the_newest_marked_class_is_the_default() -> None:
    marked = {matching.DEFAULT_CLASS: "true"}
    classes: list[Obj] = [
        {"metadata": {"name": n, "creationTimestamp": t, "annotations": a}}
        for n, t, a in (("a", "2026", marked), ("b", "2025", marked), ("c", "2027", {}))
    ]
    found = matching.default_class(classes)
    assert found is not None
    assert name_of(found) == "a"


def using(claim: str, *, node: str = "") -> Obj:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
    return a_pod("p", node=node, volumes=volumes)


def test_a_claim_is_used_by_bound_pods_only() -> None:
    assert is_used(a_claim(), [using("c", node="n")])
    assert not is_used(a_claim(), [using("c")])
    assert not is_used(a_claim(), [using("other", node="n")])
    assert claim_names(a_pod("p", volumes=[{"name": "v", "ephemeral": {}}])) == ["p-v"]


def test_finalizers_come_and_go_once() -> None:
    guarded = with_finalizer(a_claim(), "f", present=True)
    assert guarded["metadata"]["finalizers"] == ["f"]
    assert with_finalizer(guarded, "f", present=True) is guarded
    assert with_finalizer(guarded, "f", present=False)["metadata"]["finalizers"] == []


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        pytest.param("/tmp", True, id="tmp-itself"),
        pytest.param("/etc", True, id="elsewhere"),
        pytest.param("/tmp/../etc", True, id="out-again"),
        pytest.param("/tmp/tiphys-no-such-volume", False, id="beneath-tmp"),
    ],
)
def test_host_paths_are_removed_beneath_tmp_only(path: str, refused: bool) -> None:
    why = remove_host_path(a_volume("v", hostPath={"path": path}))
    assert bool(why) == refused
    assert not why or why == f"host_path deleter only supports /tmp/.+ but received provided {path}"


def test_a_link_beneath_tmp_is_not_followed(tmp_path: Path) -> None:
    outside, link = tmp_path / "data", tmp_path / "link"
    outside.mkdir()
    link.symlink_to(outside)
    assert remove_host_path(a_volume("v", hostPath={"path": str(link)}))
    assert outside.exists()


def test_a_volume_is_kept_for_its_claim_and_node() -> None:
    storage_class: Obj = {"metadata": {"name": "standard"}, "reclaimPolicy": "Retain"}
    volume = volume_of(a_claim(), storage_class, "n1", Path("/x"))
    assert name_of(volume) == "pvc-u"
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["local"] == {"path": "/x"}
    assert matching.best([volume | {"status": {}}], a_claim(), waits=True) is not None


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        pytest.param({}, "", id="plain"),
        pytest.param({"volumeMode": "Block"}, "Filesystem", id="block"),
        pytest.param({"accessModes": ["ReadWriteMany"]}, "ReadWriteMany", id="shared"),
        pytest.param({"selector": {}}, "Selector", id="selector"),
    ],
)
def test_what_a_directory_cannot_be(spec: Obj, word: str) -> None:
    assert word in refusal(a_claim(**spec))
    assert bool(word) == bool(refusal(a_claim(**spec)))


def test_a_directory_is_made_open_and_removed_whole(tmp_path: Path) -> None:
    path = tmp_path / "n1" / "volumes" / "pvc-u"
    (tmp_path / "n1").mkdir()
    make_directory(path)
    make_directory(path)
    assert path.stat().st_mode & 0o777 == 0o777
    (path / "data").write_text("x")
    assert is_ours(path, tmp_path, "pvc-u")
    assert remove_directory(path)
    assert not path.exists()


@pytest.mark.parametrize(
    "path",
    ["/etc", "/nodes/n1/volumes", "/nodes/n1/other/v", "/nodes/n1/volumes/../v", "/x/n1/volumes/v"],
)
def test_nothing_else_is_removed(path: str) -> None:
    assert not is_ours(Path(path), Path("/nodes"), "v")


def test_an_ephemeral_volume_gets_a_claim_that_goes_with_its_pod() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    ephemeral = {"name": "v", "ephemeral": {"volumeClaimTemplate": template}}
    (claim,) = wanted_claims(a_pod("p", volumes=[ephemeral, {"name": "e", "emptyDir": {}}]))
    assert name_of(claim) == "p-v"
    assert claim["metadata"]["labels"] == {"a": "b"}
    (owner,) = claim["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Pod", "p", True)
    assert claim["spec"] == template["spec"]


@pytest.mark.parametrize(
    ("users", "used"),
    [
        ([], False),
        ([{"spec": {"volumeAttributesClassName": "a"}}], True),
        ([{"status": {"currentVolumeAttributesClassName": "a"}}], True),
        ([{"status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "a"}}}], True),
        ([{"spec": {"volumeAttributesClassName": "b"}}], False),
    ],
)
def test_who_uses_a_class_of_attributes(users: list[Obj], used: bool) -> None:
    assert class_is_used("a", users, []) is used
    assert class_is_used("a", [], users) is used
