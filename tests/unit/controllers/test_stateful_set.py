"""Ordinals, claims, and the order in which a StatefulSet creates, deletes and updates."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tiphys.api.meta import Obj, name_of
from tiphys.controllers import controller_history
from tiphys.controllers import stateful_identity as identity
from tiphys.controllers import stateful_rollout as rollout
from unit.controllers.builders import a_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def a_set(
    replicas: int = 3,
    *,
    parallel: bool = False,
    strategy: Obj | None = None,
    image: str = "new",
    scaled: str = "Retain",
    deleted: str = "Retain",
    **spec: Any,
) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default", "uid": "db", "generation": 1},
        "spec": {
            "replicas": replicas,
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "x"}},
            "podManagementPolicy": "Parallel" if parallel else "OrderedReady",
            "updateStrategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {}},
            "persistentVolumeClaimRetentionPolicy": {"whenScaled": scaled, "whenDeleted": deleted},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"a": "b"}}],
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        }
        | spec,
    }


def revision(image: str) -> Obj:
    return controller_history.new_revision(a_set(image=image), 1, "hash", 0)


OLD, NEW = revision("old"), revision("new")
SETTLED = rollout.Revisions(NEW, NEW)
UPDATING = rollout.Revisions(OLD, NEW)


def a_member(ordinal: int, *, new: bool = True, ready: bool = True, **more: Any) -> Obj:
    marks = {identity.REVISION_LABEL: name_of(NEW if new else OLD)}
    return a_pod(f"db-{ordinal}", labels=marks, ready=ready, **more)


def names(found: list[Obj]) -> list[str]:
    return [name_of(p) for p in found]


@pytest.mark.parametrize(
    ("replicas", "parallel", "mine", "create", "delete"),
    [
        pytest.param(3, False, [], ["db-0"], [], id="the-first-alone"),
        pytest.param(3, True, [], ["db-0", "db-1", "db-2"], [], id="all-at-once"),
        pytest.param(3, False, [a_member(0)], ["db-1"], [], id="the-next-when-ready"),
        pytest.param(3, False, [a_member(0, ready=False)], [], [], id="not-before"),
        pytest.param(3, False, [a_member(0), a_member(2)], ["db-1"], [], id="a-gap-is-filled"),
        pytest.param(
            2, False, [a_member(n) for n in range(4)], [], ["db-3"], id="down-from-the-top"
        ),
        pytest.param(
            2, True, [a_member(n) for n in range(4)], [], ["db-3", "db-2"], id="down-at-once"
        ),
        pytest.param(
            1,
            False,
            [a_member(0), a_member(1), a_member(2, deleting=True)],
            [],
            [],
            id="down-waits-for-the-one-that-goes",
        ),
        pytest.param(
            1,
            False,
            [a_member(0), a_member(1, ready=False), a_member(2)],
            [],
            ["db-2"],
            id="a-sick-one-below-does-not-stop-the-top",
        ),
        pytest.param(1, False, [a_member(0, phase="Failed")], [], ["db-0"], id="failed-is-redone"),
        pytest.param(
            1, False, [a_member(0, phase="Succeeded")], [], ["db-0"], id="finished-is-redone"
        ),
    ],
)
def test_plan(
    replicas: int, parallel: bool, mine: list[Obj], create: list[str], delete: list[str]
) -> None:
    got = rollout.plan(a_set(replicas, parallel=parallel), mine, SETTLED, NOW)
    assert (names(got.create), names(got.delete)) == (create, delete)


ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}


@pytest.mark.parametrize(
    ("strategy", "mine", "delete"),
    [
        pytest.param(
            ROLLING, [a_member(n, new=False) for n in range(3)], ["db-2"], id="from-the-top"
        ),
        pytest.param(
            ROLLING,
            [a_member(0, new=False), a_member(1, new=False), a_member(2)],
            ["db-1"],
            id="the-next-when-available",
        ),
        pytest.param(
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
            [a_member(0, new=False), a_member(1, new=False), a_member(2)],
            [],
            id="not-below-the-partition",
        ),
        pytest.param(
            {"type": "OnDelete"}, [a_member(n, new=False) for n in range(3)], [], id="on-delete"
        ),
    ],
)
def test_update(strategy: Obj, mine: list[Obj], delete: list[str]) -> None:
    got = rollout.plan(a_set(strategy=strategy), mine, UPDATING, NOW)
    assert names(got.delete) == delete
    assert got.updating == bool(delete)


@pytest.mark.parametrize(
    ("strategy", "ordinal", "wanted"),
    [
        pytest.param(
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, 1, OLD, id="below"
        ),
        pytest.param(
            {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}, 2, NEW, id="above"
        ),
        pytest.param({"type": "OnDelete"}, 0, NEW, id="on-delete"),
    ],
)
def test_a_pod_that_comes_back_gets_the_revision_of_its_side(
    strategy: Obj, ordinal: int, wanted: Obj
) -> None:
    mine = [a_member(n, new=False) for n in range(3) if n != ordinal]
    got = rollout.plan(a_set(strategy=strategy, parallel=True), mine, UPDATING, NOW)
    (pod,) = got.create
    assert identity.revision_of(pod) == name_of(wanted)


def test_a_new_pod_has_its_ordinals_name_labels_and_claim() -> None:
    pod = identity.new_pod(a_set(), NEW, 7)
    assert name_of(pod) == "db-7"
    assert pod["metadata"]["labels"] == {
        "app": "x",
        identity.INDEX_LABEL: "7",
        identity.POD_NAME_LABEL: "db-7",
        identity.REVISION_LABEL: name_of(NEW),
    }
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-7", "db")
    claimed = {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-7"}}
    assert pod["spec"]["volumes"] == [claimed]
    assert identity.with_identity(a_set(), pod) == pod, "nothing to mend"
    assert names(identity.new_claims(a_set(), pod)) == ["data-db-7"]


def test_ordinals_may_start_elsewhere() -> None:
    got = rollout.plan(a_set(2, parallel=True, ordinals={"start": 5}), [], SETTLED, NOW)
    assert names(got.create) == ["db-5", "db-6"]


@pytest.mark.parametrize(
    ("scaled", "deleted", "ordinal", "owner"),
    [
        pytest.param("Retain", "Retain", 0, None, id="retained"),
        pytest.param("Retain", "Delete", 0, "StatefulSet", id="goes-with-the-set"),
        pytest.param("Delete", "Retain", 0, None, id="scale-does-not-touch-a-wanted-one"),
        pytest.param("Delete", "Retain", 9, "Pod", id="goes-with-the-pod"),
        pytest.param("Delete", "Delete", 9, "Pod", id="the-pod-comes-first"),
        pytest.param("Retain", "Delete", 9, "StatefulSet", id="scale-retains"),
    ],
)
def test_owner_of_a_claim(scaled: str, deleted: str, ordinal: int, owner: str | None) -> None:
    stateful_set, pod = a_set(scaled=scaled, deleted=deleted), a_member(ordinal)
    claim: Obj = {"metadata": {"name": f"data-db-{ordinal}", "ownerReferences": []}}
    got = identity.with_owner(claim, stateful_set, pod)
    kinds = [r["kind"] for r in got["metadata"].get("ownerReferences") or []]
    assert kinds == ([owner] if owner else [])
    assert identity.with_owner(got, stateful_set, pod) is got, "settled"


def test_a_claim_of_somebody_else_is_left_alone() -> None:
    other = {"kind": "Other", "name": "o", "uid": "o", "controller": True}
    claim: Obj = {"metadata": {"name": "data-db-0", "ownerReferences": [other]}}
    assert identity.with_owner(claim, a_set(deleted="Delete"), a_member(0)) is claim


def test_a_claim_that_goes_with_an_earlier_pod_is_stale() -> None:
    reference = {"kind": "Pod", "name": "db-0", "uid": "before"}
    claim: Obj = {"metadata": {"ownerReferences": [reference]}}
    assert identity.is_stale(claim, a_member(0))
    assert not identity.is_stale({"metadata": {}}, a_member(0))


def test_status_while_updating_and_when_done() -> None:
    mine = [a_member(0, new=False), a_member(1, new=False), a_member(2)]
    got = rollout.status_of(a_set(), mine, UPDATING, NOW)
    assert (got["currentReplicas"], got["updatedReplicas"]) == (2, 1)
    assert (got["currentRevision"], got["updateRevision"]) == (name_of(OLD), name_of(NEW))
    got = rollout.status_of(a_set(), [a_member(n) for n in range(3)], UPDATING, NOW)
    assert got == {
        "replicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "observedGeneration": 1,
        "currentRevision": name_of(NEW),
        "updateRevision": name_of(NEW),
        "collisionCount": 0,
    }
