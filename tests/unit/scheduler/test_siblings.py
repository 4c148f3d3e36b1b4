"""Whom a pod is spread with by default."""

import pytest

from tiphys.api.meta import Obj
from tiphys.scheduler.siblings import siblings
from unit.controllers.builders import a_pod


def a_service(selector: dict[str, str] | None, namespace: str = "default") -> Obj:
    return {"metadata": {"namespace": namespace}, "spec": {"selector": selector}}


def an_owner(kind: str, selector: Obj) -> Obj:
    return {"kind": kind, "spec": {"selector": selector}}


WEB = {"app": "web"}


@pytest.mark.parametrize(
    ("services", "owner", "text"),
    [
        pytest.param([], None, "", id="nobody"),
        pytest.param([a_service(WEB)], None, "app in (web)", id="a-service"),
        pytest.param([a_service({"app": "db"}), a_service(None)], None, "", id="other-services"),
        pytest.param([a_service(WEB, "other")], None, "", id="another-namespace"),
        pytest.param(
            [a_service(WEB)],
            an_owner("ReplicaSet", {"matchLabels": {"rev": "1"}}),
            "app in (web),rev in (1)",
            id="both",
        ),
        pytest.param(
            [], an_owner("ReplicationController", {"rev": "1"}), "rev in (1)", id="a-controller"
        ),
    ],
)
def test_siblings(services: list[Obj], owner: Obj | None, text: str) -> None:
    pod = a_pod(labels={"app": "web", "rev": "1"})
    assert str(siblings(pod, services, owner)) == text
